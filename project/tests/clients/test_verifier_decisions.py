"""The decisions of the verifier, with and without the service."""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest
from users_client import (
    ServiceTokenRejected,
    ServiceUnavailable,
    TokenRejected,
    Verifier,
    VerifierError,
)
from users_client.service import Service
from werkzeug.datastructures import Headers

from project.tests.support import fake_service
from project.tests.support.fake_service import (
    EC,
    ED,
    FEED,
    KEYS,
    PAYLOAD,
    SECRET_TOKEN,
    STATUS,
    TOKEN,
    FakeServiceCase,
)
from project.tests.support.signing import signed
from project.tests.utils import Reply


@pytest.mark.slow
class TestVerifier(FakeServiceCase):
    """A verifier with a fake service."""

    def setUp(self) -> None:
        super().setUp()
        self.verifier = self.enterContext(self.new_verifier())

    def new_verifier(self, service_token: str | None = "abc", **changes: Any) -> Verifier:
        """Return a verifier whose thread polls too rarely to affect the test."""
        settings = {"poll_interval": 59.0} | changes
        return Verifier(self.recorder.url + "/", service_token, clock=self.clock, **settings)

    def error_of(self, token: str) -> str:
        """Return the error code for a rejected token."""
        with self.assertRaises(VerifierError) as caught:
            self.verifier.verify(token)
        return caught.exception.code

    def test_no_request_is_sent_before_the_first_verification(self) -> None:
        self.assertEqual(self.recorder.asked, [])

    def test_an_ended_session_and_a_retired_key_are_rejected(self) -> None:
        self.service.session_ids = [PAYLOAD["sid"]]
        self.assertEqual(self.error_of(TOKEN), "session_ended")
        with self.new_verifier() as self.verifier:
            self.service.retired_keys = [EC.thumbprint()]
            self.assertEqual(self.error_of(TOKEN), "token_invalid")

    def test_a_session_that_ends_is_rejected_after_the_next_poll(self) -> None:
        with self.new_verifier(poll_interval=0.02) as self.verifier:
            self.verifier.verify(TOKEN)
            self.service.session_ids = [PAYLOAD["sid"]]
            self.recorder.wait_for_poll()
            self.assertEqual(self.error_of(TOKEN), "session_ended")

    def test_every_token_is_sent_to_the_service_while_the_feed_is_not_current(self) -> None:
        self.verifier.verify(TOKEN)
        self.clock.now += 61
        self.assertEqual(self.error_of(TOKEN), "token_invalid")
        self.service.status = fake_service.status_reply(7)
        self.assertEqual(self.verifier.verify(TOKEN).user_id, 7)
        self.assertEqual(self.count(STATUS), 2)

    def test_every_token_is_sent_to_the_service_if_the_feed_was_never_read(self) -> None:
        self.service.unreachable = {FEED}
        self.service.status = fake_service.error_reply("session_ended")
        self.assertEqual(self.error_of(TOKEN), "session_ended")

    def test_tokens_are_rejected_during_an_outage_of_the_service(self) -> None:
        self.service.unreachable = {FEED, STATUS, KEYS}
        self.assertEqual(self.error_of(TOKEN), "unavailable")
        self.assertEqual(self.error_of(SECRET_TOKEN), "unavailable")
        with self.new_verifier() as self.verifier:
            self.service.unreachable = set()
            self.verifier.verify(TOKEN)
            self.service.unreachable = {FEED, STATUS, KEYS}
            self.verifier.verify(TOKEN)
            self.clock.now += 61
            self.assertEqual(self.error_of(TOKEN), "unavailable")

    def test_another_algorithm_is_rejected_without_a_request(self) -> None:
        with self.new_verifier(algorithms={"ES256"}) as self.verifier:
            for token in (SECRET_TOKEN, signed(ED, PAYLOAD)):
                self.assertEqual(self.error_of(token), "token_invalid")
                with self.assertRaises(TokenRejected):
                    self.verifier.fetch_user(token)
            self.assertEqual(self.recorder.asked, [])
            self.assertEqual(self.verifier.verify(TOKEN).user_id, 7)

    def test_without_a_service_token_every_token_is_sent_to_the_service(self) -> None:
        self.service.status = fake_service.status_reply(7)
        with self.new_verifier(None) as self.verifier:
            for token in (TOKEN, SECRET_TOKEN):
                self.assertEqual(self.verifier.verify(token).user_id, 7)
            self.assertEqual(self.recorder.asked, [STATUS, STATUS])
            self.verifier.check()

    def test_a_wrong_service_token_is_reported_by_check_and_in_the_log(self) -> None:
        self.service.feed = fake_service.error_reply("service_token_invalid")
        with self.assertRaisesRegex(ServiceTokenRejected, "SERVICE_TOKENS"):
            self.verifier.check()
        self.service.status = fake_service.status_reply(7)
        with self.assertLogs("users_client", "WARNING") as logged:
            self.assertEqual(self.verifier.verify(TOKEN).user_id, 7)
        self.assertIn("rejects the service token", logged.output[0])

    def test_check_succeeds_if_the_service_responds_and_fails_otherwise(self) -> None:
        self.verifier.check()
        self.service.unreachable = {FEED}
        with self.assertRaises(ServiceUnavailable):
            self.verifier.check()

    def test_fetch_user_sends_one_request(self) -> None:
        data = {"id": 7, "username": "ada", "email": "ada@example.com", "admin": True}
        self.service.status = fake_service.reply(200, {"status": "success", "data": data})
        user = self.verifier.fetch_user_by_header(f"Bearer {TOKEN}")
        self.assertEqual((user.username, user.email, user.admin), ("ada", "ada@example.com", True))
        self.assertEqual((user.user_id, user.session_id), (7, PAYLOAD["sid"]))
        self.assertEqual(self.recorder.asked, [STATUS])

    def test_an_incomplete_or_wrong_user_is_rejected(self) -> None:
        whole = {"id": 7, "username": "ada", "email": "ada@example.com", "admin": True}
        for spoiled in ({"username": 7}, {"email": None}, {"admin": "true"}, {"id": 8}):
            body = {"status": "success", "data": whole | spoiled}
            self.service.status = fake_service.reply(200, body)
            with self.subTest(spoiled), self.assertRaises(ServiceUnavailable):
                self.verifier.fetch_user(TOKEN)

    def test_the_url_of_the_service_may_have_a_path(self) -> None:
        self.service.prefix = "/accounts"
        self.service.status = fake_service.status_reply(7)
        for url in (f"{self.recorder.url}/accounts", f"{self.recorder.url}/accounts/"):
            with Verifier(url, "abc", clock=self.clock) as verifier:
                verifier.check()
                self.assertEqual(verifier.verify(TOKEN).user_id, 7)
                self.assertEqual(verifier.verify(SECRET_TOKEN).user_id, 7)

    def test_unknown_algorithms_are_rejected(self) -> None:
        for algorithms in ((), "ES256", {"RS256"}, {"ES256", "none"}):
            with self.subTest(algorithms), self.assertRaises(ValueError):
                self.new_verifier(algorithms=algorithms)

    def test_a_token_signed_with_the_secret_is_sent_to_the_service(self) -> None:
        self.service.status = fake_service.status_reply(7)
        for _ in range(2):
            self.assertEqual(self.verifier.verify(SECRET_TOKEN).session_id, PAYLOAD["sid"])
        self.assertEqual(self.recorder.asked, [STATUS, STATUS])
        self.assertEqual(self.service.received[-1]["Authorization"], f"Bearer {SECRET_TOKEN}")

    def test_error_codes_of_the_service_are_raised(self) -> None:
        for received, code in (
            ("token_invalid", "token_invalid"), ("token_expired", "token_expired"),
            ("session_ended", "session_ended"), ("user_inactive", "user_inactive"),
            ("newer", "token_invalid"),
        ):  # fmt: skip
            self.service.status = fake_service.error_reply(received)
            self.assertEqual(self.error_of(SECRET_TOKEN), code)

    def test_an_unexpected_response_raises_service_unavailable(self) -> None:
        yes = {"status": "success", "data": {"id": 7}}
        elsewhere = {"Location": f"{self.recorder.url}/elsewhere"}
        for response in (
            fake_service.status_reply(8), fake_service.reply(200, {}), fake_service.reply(200, []),
            fake_service.reply(200, yes | {"status": "error"}), fake_service.reply(500, yes),
            fake_service.reply(302, yes, **elsewhere), fake_service.reply(307, yes, **elsewhere),
            fake_service.reply(401, {}), fake_service.reply(401, yes),
            fake_service.error_reply("x", 403),
            fake_service.error_reply("unavailable", 503), Reply(200, Headers(), b"<html>"),
            Reply(200, Headers(), json.dumps(yes).encode() + b" " * 2_000_000),
            Reply(204, Headers(), b""), Reply(304, Headers(), b""),
        ):  # fmt: skip
            with self.subTest(response.raw[:60], status=response.status):
                self.service.status = response
                self.assertEqual(self.error_of(SECRET_TOKEN), "unavailable")
        self.assertNotIn("/elsewhere", self.recorder.asked)

    def test_many_threads_share_the_first_requests(self) -> None:
        with ThreadPoolExecutor(20) as crowd:
            principals = set(crowd.map(lambda _: self.verifier.verify(TOKEN), range(100)))
        self.assertEqual((len(principals), self.recorder.asked), (1, [KEYS, FEED]))

    def test_a_forked_process_starts_with_empty_caches(self) -> None:
        self.service.status = fake_service.status_reply(7)
        self.verifier.verify(TOKEN)
        self.verifier.verify(SECRET_TOKEN)
        own = self.verifier._service
        with self.verifier._follower._starting:  # as if another thread had been starting
            child = os.fork()
            if child == 0:
                self.verify_and_exit(own)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(self.recorder.asked, [KEYS, FEED, STATUS, KEYS, FEED])
        self.verifier.verify(SECRET_TOKEN)

    def verify_and_exit(self, parents: Service) -> NoReturn:
        """End a forked process, with code 0 if it verified with its own connections and thread."""
        signal.alarm(10)  # otherwise it would wait for a lock of the parent for ever
        try:
            self.verifier.verify(TOKEN)
            own = self.verifier._service is not parents and self.verifier._follower._is_running()
            os._exit(0 if own else 1)
        finally:  # otherwise two processes would run the rest of the suite
            os._exit(2)

    def test_a_closed_verifier_has_no_thread_and_rejects_calls(self) -> None:
        def running() -> int:
            return sum(thread.name == "users-client" for thread in threading.enumerate())

        before = running()
        self.verifier.verify(TOKEN)
        self.assertEqual(running(), before + 1)
        self.verifier.close()
        self.assertEqual(running(), before)
        with self.assertRaises(RuntimeError):
            self.verifier.verify(TOKEN)

    def test_the_start_and_end_of_an_outage_are_each_logged_once(self) -> None:
        self.service.unreachable = {FEED}
        self.service.status = fake_service.status_reply(7)
        logs = self.assertLogs("users_client", "WARNING")
        with logs as logged, self.new_verifier(poll_interval=0.02) as verifier:
            verifier.verify(TOKEN)
            self.recorder.wait_for_poll()
            self.service.unreachable = set()
            self.recorder.wait_for_poll()
        self.assertEqual(len(logged.output), 2)
        self.assertNotIn("abc", "".join(logged.output))

    def test_the_bearer_token_is_read_from_the_header(self) -> None:
        for good in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "):
            self.assertEqual(self.verifier.verify_header(good).user_id, 7)
        for wrong, code, sent in (
            (None, "token_missing", False), ("", "token_invalid", False), (TOKEN, "token_invalid",
            False), (f"Basic {TOKEN}", "token_invalid", False), ("Bearer ", "token_invalid", False),
            ("Bearer x", "token_invalid", True), (f"Bearer {TOKEN} x", "token_invalid", True),
        ):  # fmt: skip
            with self.subTest(wrong), self.assertRaises(TokenRejected) as caught:
                self.verifier.verify_header(wrong)
            self.assertEqual((caught.exception.code, caught.exception.sent), (code, sent))

    def test_invalid_settings_are_rejected(self) -> None:
        for url in (
            "", "users", "ftp://users", "file:///etc/passwd", "https://", "https://a:b@users",
            "https://users?x=1", "https://users#x", "https://users:x", "//users",
        ):  # fmt: skip
            with self.subTest(url), self.assertRaises(ValueError):
                Verifier(url, "abc")
        for token in ("", "a b", "a\r\nX: y", "é"):
            with self.subTest(token), self.assertRaises(ValueError):
                Verifier("https://users", token)
        for interval in (0, -1, 60, float("nan")):
            with self.subTest(interval), self.assertRaises(ValueError):
                Verifier("https://users", "abc", poll_interval=interval)
