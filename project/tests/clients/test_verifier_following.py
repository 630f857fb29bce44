"""The caches of the verifier: the published keys, and the feed of ended sessions."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from joserfc.jwk import ECKey, OKPKey
from users_client import ServiceUnavailable
from users_client.feed import Feed
from users_client.jwks import KeySet
from users_client.service import Service

from project.tests.support import fake_service
from project.tests.support.fake_service import EC, ED, FEED, KEYS, FakeServiceCase
from project.tests.support.signing import published
from project.tests.utils import Reply


class TestKeySet(FakeServiceCase):
    """The published keys."""

    def setUp(self) -> None:
        super().setUp()
        self.keys = KeySet(self.reached, self.clock)
        self.keys.refresh()

    def knows(self, *keys: ECKey | OKPKey) -> list[bool]:
        """Return for each key whether the set has it."""
        return [self.keys.find(key.thumbprint()) is not None for key in keys]

    def test_an_expired_set_is_requested_again_with_its_etag(self) -> None:
        for seconds, times in ((299, 1), (1, 2), (299, 2), (1, 3)):
            self.clock.now += seconds
            self.keys.refresh()
            self.assertEqual(self.count(KEYS), times)
        tags = [headers.get("If-None-Match") for headers in self.service.received]
        self.assertEqual((tags[0], tags[1]), (None, tags[2]))
        self.assertIsNotNone(tags[1])
        self.assertEqual(self.knows(EC), [True])

    def test_max_age_is_limited_and_defaults_to_five_minutes(self) -> None:
        for cache_control, seconds in (
            ("max-age=20", 20), ("public, MAX-AGE=20, x", 20), ("s-max-age=20", 300), ("", 300),
            ("max-age=1", 1), ("max-age=99999", 3600), ("max-age=-1", 300), ("max-age=x", 300),
        ):  # fmt: skip
            self.service.cache_control = cache_control
            self.clock.now += 3600
            self.keys.refresh()
            before = self.count(KEYS)
            for wait, more in ((seconds - 1, 0), (1, 1)):
                self.clock.now += wait
                self.keys.refresh()
                self.assertEqual(self.count(KEYS), before + more, cache_control)

    def test_an_unknown_id_causes_a_request_at_once(self) -> None:
        self.service.keys = [published(ED)]
        self.assertEqual(self.knows(ED, EC), [True, False])
        self.assertEqual(self.count(KEYS), 2)

    def test_many_unknown_ids_cause_one_request_in_ten_seconds(self) -> None:
        ids = [uuid4().hex + "x" * 11 for _ in range(200)]
        for times in (2, 3):
            with ThreadPoolExecutor(20) as crowd:
                self.assertEqual(set(crowd.map(self.keys.find, ids)), {None})
            self.clock.now += 9.9
            self.assertIsNone(self.keys.find(ids[0]))
            self.assertEqual(self.count(KEYS), times)
            self.clock.now += 0.1

    def test_an_unknown_id_raises_service_unavailable_during_an_outage(self) -> None:
        self.service.unreachable = {KEYS}
        for _ in range(5):
            with self.assertRaises(ServiceUnavailable):
                self.knows(ED)
        self.assertEqual((self.count(KEYS), self.knows(EC)), (2, [True]))

    def test_a_set_is_used_for_an_hour_after_its_last_confirmation(self) -> None:
        self.service.unreachable = {KEYS}
        self.clock.now += 3600
        with self.assertRaises(ServiceUnavailable):
            self.keys.refresh()
        self.assertEqual(self.knows(EC), [True])
        self.clock.now += 1
        with self.assertRaises(ServiceUnavailable):
            self.knows(EC)
        self.service.unreachable = set()
        self.clock.now += 10
        self.assertEqual(self.knows(EC), [True])

    def test_unsupported_keys_are_ignored(self) -> None:
        good = published(EC)
        other = published(ECKey.generate_key("P-384"))
        for change in (
            {"kty": "RSA"}, {"kty": "oct", "k": "AAAA"}, {"crv": "P-384"}, {"alg": "ES384"},
            {"alg": "HS256"}, {"alg": "none"}, {"alg": None}, {"kid": 7}, {"kid": "short"},
            {"use": "enc"}, {"x": None}, {"x": good["y"]}, {"x": "A"}, {"y": "!"}, {"y": 7},
            {"alg": "EdDSA"}, {"kty": "OKP"}, {"kty": ["EC"]},
        ):  # fmt: skip
            with self.subTest(change):
                self.service.keys = [good | change, other, published(ED)]
                self.clock.now += 3600
                self.keys.refresh()
                self.assertEqual(self.knows(ED, EC), [True, False])

    def test_a_malformed_set_is_ignored(self) -> None:
        self.service.cache_control = "max-age=10"
        wrong: list[Any] = [None, {}, "x"]
        for keys in wrong:
            self.service.keys = keys
            self.clock.now += 300
            with self.assertRaises(ServiceUnavailable):
                self.keys.refresh()
            self.assertEqual(self.knows(EC), [True])


class TestFeed(FakeServiceCase):
    """The feed of ended sessions and leaked keys."""

    def setUp(self) -> None:
        super().setUp()
        self.feed = Feed(self.reached, "abc", 60, self.clock)
        self.ids = [uuid4().hex for _ in range(2500)]

    def knows(self) -> int:
        """Return the number of ids that the feed has as ended."""
        return sum(map(self.feed.has_session, self.ids))

    def test_a_poll_reads_all_new_pages(self) -> None:
        self.service.session_ids = self.ids[:-1]
        self.feed.poll()
        self.assertEqual((self.knows(), self.count(FEED)), (2499, 3))
        self.service.session_ids = self.ids
        self.feed.poll()
        self.assertEqual((self.knows(), self.count(FEED)), (2500, 4))
        self.assertEqual(
            {headers["Authorization"] for headers in self.service.received}, {"Bearer abc"}
        )

    def test_a_poll_sends_the_etag_of_the_last_page(self) -> None:
        self.service.session_ids, self.service.settled = self.ids[:3], False
        for _ in range(3):
            self.feed.poll()
        tags = [headers.get("If-None-Match") for headers in self.service.received]
        self.assertEqual((tags[0], tags[1]), (None, tags[2]))
        self.assertIsNotNone(tags[1])
        self.service.session_ids = self.ids[:4]
        self.feed.poll()
        self.assertEqual(self.knows(), 4)

    def test_the_age_counts_from_the_request_not_the_response(self) -> None:
        def respond_late(path: str, headers: Mapping[str, str]) -> Reply:
            self.clock.now += 61
            return self.service(path, headers)

        self.recorder.respond = respond_late
        self.feed.poll()
        self.assertFalse(self.feed.is_current())

    def test_the_feed_is_current_for_max_staleness(self) -> None:
        self.assertFalse(self.feed.is_current())
        self.feed.poll()
        self.clock.now += 60
        self.assertTrue(self.feed.is_current())
        self.clock.now += 0.1
        self.assertFalse(self.feed.is_current())
        self.feed.poll()
        self.assertTrue(self.feed.is_current())

    def test_the_feed_is_not_current_until_its_end_is_read(self) -> None:
        self.feed.poll()
        self.clock.now += 61
        self.service.session_ids, self.service.settled = self.ids, False
        for _ in range(2):
            with self.assertRaises(ServiceUnavailable):
                self.feed.poll()
            self.assertFalse(self.feed.is_current())
        self.service.settled = True
        self.feed.poll()
        self.assertEqual((self.knows(), self.feed.is_current()), (2500, True))

    def test_an_interrupted_poll_keeps_the_pages_it_has_read(self) -> None:
        self.feed.poll()
        self.service.session_ids = self.ids
        broken = self.enterContext(fake_service.recorded(self.cut))
        self.feed._service = Service(broken.url)
        self.addCleanup(self.feed._service.close)
        with self.assertRaises(ServiceUnavailable):
            self.feed.poll()
        self.assertEqual(self.knows(), 1000)

    def cut(self, path: str, headers: Any) -> Reply:
        """Respond to the first page only."""
        if path.endswith("=1000"):
            raise OSError
        return self.service(path, headers)

    def test_an_hourly_refetch_drops_expired_entries(self) -> None:
        self.service.session_ids = self.ids
        self.service.retired_keys = [EC.thumbprint()]
        self.feed.poll()
        self.service.session_ids, self.service.retired_keys = self.ids[:2], []
        self.clock.now += 3599
        self.feed.poll()
        self.assertEqual((self.knows(), self.feed.has_key(EC.thumbprint())), (2500, True))
        self.clock.now += 1
        self.feed.poll()
        self.assertEqual((self.knows(), self.feed.has_key(EC.thumbprint())), (2, False))

    def test_a_failed_refetch_keeps_the_known_entries(self) -> None:
        self.service.session_ids = self.ids
        self.feed.poll()
        self.clock.now += 3600
        self.service.unreachable = {FEED}
        with self.assertRaises(ServiceUnavailable):
            self.feed.poll()
        self.assertEqual(self.knows(), 2500)

    def test_a_malformed_page_raises_service_unavailable(self) -> None:
        sid, kid = self.ids[0], EC.thumbprint()
        good: dict[str, Any] = {"session_ids": [sid], "retired_keys": [kid], "next": 1}
        changes: list[dict[str, Any]] = [
            {"session_ids": None}, {"session_ids": [sid.upper()]}, {"session_ids": [7]},
            {"session_ids": {}}, {"retired_keys": None}, {"retired_keys": ["x"]}, {"next": None},
            {"next": "1"}, {"next": True}, {"session_ids": [sid + "\n"]},
        ]  # fmt: skip
        for change in changes:
            response = fake_service.reply(200, {"data": good | change})
            with fake_service.recorded(lambda *_, response=response: response) as broken:
                feed = Feed(Service(broken.url), "abc", 60, self.clock)
                with self.subTest(change), self.assertRaises(ServiceUnavailable):
                    feed.poll()
                self.assertFalse(feed.is_current())
