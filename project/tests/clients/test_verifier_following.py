"""How the verifier follows the service's keys and its feed."""

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
        """Return for each key whether it is found."""
        return [self.keys.find(key.thumbprint()) is not None for key in keys]

    def test_a_set_is_asked_for_again_when_its_time_has_passed_and_by_its_etag(self) -> None:
        for seconds, times in ((299, 1), (1, 2), (299, 2), (1, 3)):
            self.clock.now += seconds
            self.keys.refresh()
            self.assertEqual(self.count(KEYS), times)
        tags = [headers.get("If-None-Match") for headers in self.service.received]
        self.assertEqual((tags[0], tags[1]), (None, tags[2]))
        self.assertIsNotNone(tags[1])
        self.assertEqual(self.knows(EC), [True])

    def test_what_the_service_says_of_freshness_is_kept_within_bounds(self) -> None:
        for said, seconds in (
            ("max-age=20", 20), ("public, MAX-AGE=20, x", 20), ("s-max-age=20", 300), ("", 300),
            ("max-age=1", 1), ("max-age=99999", 3600), ("max-age=-1", 300), ("max-age=x", 300),
        ):  # fmt: skip
            self.service.cache_control = said
            self.clock.now += 3600
            self.keys.refresh()
            before = self.count(KEYS)
            for wait, more in ((seconds - 1, 0), (1, 1)):
                self.clock.now += wait
                self.keys.refresh()
                self.assertEqual(self.count(KEYS), before + more, said)

    def test_an_unknown_id_has_the_set_asked_for_at_once(self) -> None:
        self.service.keys = [published(ED)]
        self.assertEqual(self.knows(ED, EC), [True, False])
        self.assertEqual(self.count(KEYS), 2)

    def test_a_flood_of_unknown_ids_makes_one_request_in_ten_seconds(self) -> None:
        ids = [uuid4().hex + "x" * 11 for _ in range(200)]
        for times in (2, 3):
            with ThreadPoolExecutor(20) as crowd:
                self.assertEqual(set(crowd.map(self.keys.find, ids)), {None})
            self.clock.now += 9.9
            self.assertIsNone(self.keys.find(ids[0]))
            self.assertEqual(self.count(KEYS), times)
            self.clock.now += 0.1

    def test_an_unknown_id_is_not_refused_while_the_keys_cannot_be_had(self) -> None:
        self.service.unreachable = {KEYS}
        for _ in range(5):
            with self.assertRaises(ServiceUnavailable):
                self.knows(ED)
        self.assertEqual((self.count(KEYS), self.knows(EC)), (2, [True]))

    def test_an_old_set_is_used_for_an_hour_and_no_longer(self) -> None:
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

    def test_a_key_that_is_not_of_our_kinds_is_let_be(self) -> None:
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

    def test_what_is_no_set_changes_nothing(self) -> None:
        self.service.cache_control = "max-age=10"
        wrong: list[Any] = [None, {}, "x"]
        for keys in wrong:
            self.service.keys = keys
            self.clock.now += 300
            with self.assertRaises(ServiceUnavailable):
                self.keys.refresh()
            self.assertEqual(self.knows(EC), [True])


class TestFeed(FakeServiceCase):
    """The feed of what must be refused before its time."""

    def setUp(self) -> None:
        super().setUp()
        self.feed = Feed(self.reached, "abc", 60, self.clock)
        self.ids = [uuid4().hex for _ in range(2500)]

    def knows(self) -> int:
        """Return how many of the ids are known."""
        return sum(map(self.feed.has_session, self.ids))

    def test_it_is_read_to_its_end_and_on_from_there(self) -> None:
        self.service.session_ids = self.ids[:-1]
        self.feed.poll()
        self.assertEqual((self.knows(), self.count(FEED)), (2499, 3))
        self.service.session_ids = self.ids
        self.feed.poll()
        self.assertEqual((self.knows(), self.count(FEED)), (2500, 4))
        self.assertEqual({said["Authorization"] for said in self.service.received}, {"Bearer abc"})

    def test_what_has_not_changed_is_not_sent_again(self) -> None:
        self.service.session_ids, self.service.settled = self.ids[:3], False
        for _ in range(3):
            self.feed.poll()
        tags = [said.get("If-None-Match") for said in self.service.received]
        self.assertEqual((tags[0], tags[1]), (None, tags[2]))
        self.assertIsNotNone(tags[1])
        self.service.session_ids = self.ids[:4]
        self.feed.poll()
        self.assertEqual(self.knows(), 4)

    def test_it_is_as_old_as_the_moment_of_asking(self) -> None:
        def answer_late(path: str, headers: Mapping[str, str]) -> Reply:
            self.clock.now += 61
            return self.service(path, headers)

        self.recorder.respond = answer_late
        self.feed.poll()
        self.assertFalse(self.feed.is_current())

    def test_it_is_current_for_as_long_as_it_may_be(self) -> None:
        self.assertFalse(self.feed.is_current())
        self.feed.poll()
        self.clock.now += 60
        self.assertTrue(self.feed.is_current())
        self.clock.now += 0.1
        self.assertFalse(self.feed.is_current())
        self.feed.poll()
        self.assertTrue(self.feed.is_current())

    def test_an_end_that_is_out_of_sight_is_not_current(self) -> None:
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

    def test_what_breaks_off_is_kept_and_gone_on_with(self) -> None:
        self.feed.poll()
        self.service.session_ids = self.ids
        broken = self.enterContext(fake_service.recorded(self.cut))
        self.feed._service = Service(broken.url)
        self.addCleanup(self.feed._service.close)
        with self.assertRaises(ServiceUnavailable):
            self.feed.poll()
        self.assertEqual(self.knows(), 1000)

    def cut(self, path: str, headers: Any) -> Reply:
        """Answer the first page alone."""
        if path.endswith("=1000"):
            raise OSError
        return self.service(path, headers)

    def test_the_feed_is_refetched_hourly_without_expired_entries(self) -> None:
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

    def test_what_is_no_page_is_no_reading(self) -> None:
        sid, kid = self.ids[0], EC.thumbprint()
        good: dict[str, Any] = {"session_ids": [sid], "retired_keys": [kid], "next": 1}
        changes: list[dict[str, Any]] = [
            {"session_ids": None}, {"session_ids": [sid.upper()]}, {"session_ids": [7]},
            {"session_ids": {}}, {"retired_keys": None}, {"retired_keys": ["x"]}, {"next": None},
            {"next": "1"}, {"next": True}, {"session_ids": [sid + "\n"]},
        ]  # fmt: skip
        for change in changes:
            answer = fake_service.reply(200, {"data": good | change})
            with fake_service.recorded(lambda *_, answer=answer: answer) as broken:
                feed = Feed(Service(broken.url), "abc", 60, self.clock)
                with self.subTest(change), self.assertRaises(ServiceUnavailable):
                    feed.poll()
                self.assertFalse(feed.is_current())
