"""Hashing: in a bounded pool, once a login, and with the same answer in the same time."""

import json
import os
import queue
import sys
import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import ClassVar
from unittest import TestCase, mock, skipUnless

import bcrypt
import pytest
from sqlalchemy import select

from project.extensions import db, get_component
from project.models import User
from project.security.passwords.hashing import (
    cost_of,
    dummy_hash,
    dummy_hashes_up_to,
)
from project.serving.cores import available_cores
from project.serving.hashing_pool import HashingPool, PoolFull
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.paths import PROJECT
from project.tests.utils import PASSWORD, InProcess, Reply

OVERLOADED = "Too many logins at once. Try again later."
UNKNOWN = "User does not exist."


@pytest.mark.any_database
class TestHashingPool(TestCase):
    """The pool by itself."""

    def test_it_returns_and_raises_what_the_work_does(self) -> None:
        pool = HashingPool(threads=1, queue=0, niceness=0)
        self.assertEqual(pool.run(lambda: 7), 7)
        with self.assertRaises(ZeroDivisionError):
            pool.run(lambda: 1 // 0)
        self.assertEqual(pool.run(lambda: 8), 8)

    def test_beyond_threads_and_queue_it_refuses_at_once(self) -> None:
        pool = HashingPool(threads=2, queue=3, niceness=0)
        free, refused = threading.Event(), queue.SimpleQueue[PoolFull]()

        def wait() -> bool:
            try:
                return pool.run(partial(free.wait, 30))
            except PoolFull as error:
                refused.put(error)
                return False

        with ThreadPoolExecutor(9) as crowd:
            waiting = [crowd.submit(wait) for _ in range(9)]
            for _ in range(4):
                refused.get(timeout=30)
            free.set()
        self.assertEqual(sum(future.result() for future in waiting), 5)
        self.assertEqual(pool.run(lambda: 7), 7)

    def test_one_network_gets_at_most_half_of_the_places(self) -> None:
        pool = HashingPool(threads=2, queue=3, niceness=0)
        free = threading.Event()
        with ThreadPoolExecutor(4) as crowd, taken(pool, 2, "192.0.2.1"):
            self.assertTrue(pool.is_full("192.0.2.1"))
            with self.assertRaises(PoolFull):
                pool.run(lambda: 7, "192.0.2.1")
            others = [crowd.submit(pool.run, free.wait, f"192.0.2.{n}") for n in (2, 3, 4)]
            free.set()
            self.assertTrue(all(other.result() for other in others))
        self.assertEqual(pool.run(lambda: 8, "192.0.2.1"), 8)

    def test_the_share_of_a_network_is_one_place_at_the_least(self) -> None:
        pool = HashingPool(threads=1, queue=0, niceness=0)
        self.assertEqual(pool.run(lambda: 7, "192.0.2.1"), 7)
        with taken(pool, 1, "192.0.2.1"):
            self.assertTrue(pool.is_full("192.0.2.2"))
            self.assertTrue(pool.is_full())

    def test_no_more_work_runs_at_once_than_there_are_threads(self) -> None:
        pool = HashingPool(threads=2, queue=20, niceness=0)
        running, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            bcrypt.hashpw(b"x", bcrypt.gensalt(4))
            with lock:
                running -= 1

        with ThreadPoolExecutor(20) as crowd:
            list(crowd.map(lambda _: pool.run(work), range(20)))
        self.assertEqual(most, 2)

    @skipUnless(sys.platform == "linux", "elsewhere a thread has no niceness of its own")
    def test_its_threads_alone_are_nice(self) -> None:
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        pool = HashingPool(threads=1, queue=0, niceness=7)
        nicer = min(19, ours + 7)
        self.assertEqual(pool.run(partial(os.getpriority, os.PRIO_PROCESS, 0)), nicer)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, 0), ours)

    @skipUnless(sys.platform == "linux", "elsewhere a thread has no niceness of its own")
    def test_where_it_may_not_be_nice_it_hashes_all_the_same(self) -> None:
        with mock.patch("os.setpriority", side_effect=PermissionError):
            pool = HashingPool(threads=1, queue=0, niceness=7)
            self.assertEqual(pool.run(lambda: 7), 7)

    def test_waiting_for_a_hash_runs_in_the_given_context(self) -> None:
        context = mock.MagicMock()
        pool = HashingPool(threads=1, queue=0, niceness=0, while_waiting=context)
        pool.run(lambda: self.assertEqual(context.return_value.__enter__.call_count, 1))
        self.assertEqual(context.return_value.__exit__.call_count, 1)

    def test_no_thread_is_there_before_the_first_hash(self) -> None:
        before = set(threading.enumerate())
        pool = HashingPool(threads=4, queue=0, niceness=0)
        self.assertLessEqual(set(threading.enumerate()), before)
        self.assertNotIn(pool.run(threading.current_thread), before)
        self.assertEqual(len(set(threading.enumerate()) - before), 1)

    def test_without_a_setting_there_is_a_thread_for_each_core(self) -> None:
        app = databases.shared_app()
        self.assertEqual(app.config["HASH_THREADS"], available_cores())


@contextmanager
def taken(pool: HashingPool, places: int, network: str) -> Iterator[None]:
    """Have a network hold so many places of a pool for as long as the block lasts."""
    with ExitStack() as held:
        for _ in range(places):
            held.enter_context(pool._slots.hold(network))
        yield


@contextmanager
def occupied(pool: HashingPool) -> Iterator[None]:
    """Occupy a pool that has one place for as long as the block lasts."""
    started, free = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        free.wait(30)

    with ThreadPoolExecutor(1) as other:
        other.submit(pool.run, work)
        started.wait(30)
        try:
            yield
        finally:
            free.set()


class TestOverload(BaseTestCase):
    """A pool of one place, which is taken."""

    overrides: ClassVar[dict[str, object]] = {"HASH_THREADS": 1, "HASH_QUEUE": 0}

    def setUp(self) -> None:
        super().setUp()
        self.admin = self.add_token(self.add_user(admin=True))
        self.pool = get_component(HashingPool, self.app)

    def assert_overloaded(self, reply: Reply) -> None:
        """Assert that a response is a 503 with Retry-After."""
        self.assert_error(reply, 503, OVERLOADED, "overloaded")
        self.assertIn(int(reply.headers["Retry-After"]), range(3, 9))

    def test_whatever_hashes_is_refused_and_nothing_is_done(self) -> None:
        new = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
        with occupied(self.pool):
            self.assert_overloaded(self.caller.login())
            self.assert_overloaded(self.caller.login("nobody@example.com"))
            self.assert_overloaded(self.caller.register())
            self.assert_overloaded(self.caller.post("/users", new, self.admin))
            self.assertEqual(self.caller.status(self.admin).status, 200)
        self.assertEqual(self.count(User), 1)
        self.assertEqual(self.caller.login().status, 200)

    def test_a_refused_login_is_no_guess(self) -> None:
        with occupied(self.pool):
            for _ in range(20):
                self.assert_overloaded(self.caller.login())
                self.assert_overloaded(self.caller.login("nobody@example.com"))
        self.assertEqual(self.caller.login(password="wrong").status, 404)
        self.assertEqual(self.caller.login().status, 200)

    def test_a_renewal_that_finds_no_place_costs_nobody_the_login(self) -> None:
        with self.app.app_context():
            user = db.session.scalars(select(User)).one()
            old = user.password = bcrypt_hash(PASSWORD, 5)
            db.session.commit()
        with (
            mock.patch.object(User, "check_capacity"),
            mock.patch.object(User, "check_password", return_value=True),
            occupied(self.pool),
        ):
            self.assertEqual(self.caller.login().status, 200)
        self.assertEqual(kept_hash(self), old)


def bcrypt_hash(password: str, rounds: int) -> str:
    """Return a hash of another cost."""
    with databases.shared_app(BCRYPT_LOG_ROUNDS=rounds).app_context():
        return User.hash_password(password)


def kept_hash(case: BaseTestCase) -> str:
    """Return the hash of the one user that there is."""
    with case.app.app_context():
        return db.session.scalars(select(User.password)).one()


class TestShare(BaseTestCase):
    """A network that storms leaves room for strangers."""

    overrides: ClassVar[dict[str, object]] = {"HASH_THREADS": 1, "HASH_QUEUE": 3}

    def statuses(self, address: str) -> list[int]:
        """Log in and register from this address."""
        assert isinstance(self.caller, InProcess)
        self.caller.client.environ_base["REMOTE_ADDR"] = address
        name = f"user{len(address)}"
        register = self.caller.register(name, f"{name}@example.com")
        return [self.caller.login().status, register.status]

    def test_beyond_its_share_a_network_is_rejected_and_strangers_are_not(self) -> None:
        self.add_user()
        pool = get_component(HashingPool, self.app)
        for storming, near, far in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.22"),
            ("2001:db8:1::/48", "2001:db8:1:2::3", "2001:db8:22::3"),
        ):
            with taken(pool, 2, storming):
                self.assertEqual(self.statuses(near), [503, 503])
                self.assertEqual(self.statuses(far), [200, 201])


class TestLongTexts(BaseTestCase):
    """What no account can have is not normalized, which would take long."""

    def test_a_login_with_a_long_address_or_password_is_fast_and_costs_one_hash(self) -> None:
        self.add_user()
        marks = "".join(chr(mark) for mark in range(0x36F, 0x34B, -1)) * 220
        expected = self.caller.login("nobody@example.com")
        for email, password in ((marks, PASSWORD), ("michael@example.com", marks)):
            with (
                mock.patch.object(unicodedata, "normalize", wraps=unicodedata.normalize) as called,
                mock.patch("bcrypt.hashpw", wraps=bcrypt.hashpw) as hashed,
            ):
                reply = self.login_in_utf8(email, password)
            self.assertEqual((reply.status, reply.raw), (404, expected.raw))
            self.assertEqual(hashed.call_count, 1)
            lengths = [len(call.args[1]) for call in called.call_args_list]
            self.assertLess(max(lengths, default=0), 255)

    def login_in_utf8(self, email: str, password: str) -> Reply:
        """Log in by a body of as many characters as fit."""
        body = json.dumps({"email": email, "password": password}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        return self.caller.send("POST", "/auth/login", body, headers)

    def test_a_password_as_long_as_may_be_counts_whole(self) -> None:
        password = "\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}" * 500
        self.add_user(password=password)
        composed = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 500
        self.assertEqual(self.caller.login(password=composed).status, 200)
        self.assertEqual(self.caller.login(password=composed[:-1]).status, 404)


@pytest.mark.any_database
def test_text_is_normalized_in_one_place() -> None:
    """Assert that only one module normalizes text, after a check of its length."""
    callers = [
        path.name
        for path in PROJECT.rglob("*.py")
        if "unicodedata.normalize(" in path.read_text() and "tests" not in path.parts
    ]
    assert callers == ["normalization.py"]


class TestNoOracle(BaseTestCase):
    """What does not open is answered alike, at the same cost."""

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.costs: list[int | None] = []

    def count_costs(self) -> None:
        """Note the cost of every hash that is made or checked from now on."""
        hashpw = bcrypt.hashpw

        def counting(password: bytes, salt: bytes) -> bytes:
            self.costs.append(int(salt.split(b"$")[2]))
            return hashpw(password, salt)

        self.enterContext(mock.patch("bcrypt.hashpw", counting))

    def test_one_hash_and_the_same_bytes(self) -> None:
        responds = {self.caller.login("nobody@example.com").raw.partition(b"request")[0]}
        self.count_costs()
        self.refuse("nobody@example.com", PASSWORD, responds)
        self.refuse("michael@example.com", "wrong", responds)
        self.refuse("michael@example.com", "x" * 5000, responds)
        self.refuse("michael@example.com", "", responds)
        self.set_user(self.user_id, active=False)
        self.refuse("michael@example.com", "wrong", responds)
        for foreign in (
            "",
            "plain",
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZQ$aGFzaA",
            "$2b$12$short",
        ):
            self.set_user(self.user_id, password=foreign)
            self.refuse("michael@example.com", PASSWORD, responds)
        self.assertEqual(len(responds), 1)

    def refuse(self, email: str, password: str, responds: set[bytes]) -> None:
        """Assert that a failed login costs one hash of the current cost; record the response."""
        self.caller = InProcess(databases.shared_app(THROTTLE_ENABLED=False).test_client())
        self.costs.clear()
        reply = self.caller.login(email, password)
        self.assert_error(reply, 404, UNKNOWN, "invalid_credentials")
        self.assertEqual(self.costs, [4])
        responds.add(reply.raw)

    def test_a_hash_of_a_lower_cost_takes_as_long_as_one_of_todays(self) -> None:
        self.set_user(self.user_id, password=bcrypt_hash(PASSWORD, 4))
        self.caller = InProcess(databases.shared_app(BCRYPT_LOG_ROUNDS=7).test_client())
        self.count_costs()
        self.assertEqual(self.caller.login(password="wrong").status, 404)
        self.assertEqual(sum(2**cost for cost in self.costs if cost), 2**7)

    def test_a_good_login_renews_a_hash_of_another_cost(self) -> None:
        for cost in (5, 6):
            self.set_user(self.user_id, password=bcrypt_hash(PASSWORD, cost))
            self.assertEqual(self.caller.login(password="wrong").status, 404)
            self.assertEqual(cost_of(kept_hash(self)), cost)
            self.assertEqual(self.caller.login().status, 200)
            self.assertEqual(cost_of(kept_hash(self)), 4)
            self.assertEqual(self.caller.login().status, 200)

    def test_a_good_login_with_todays_cost_hashes_once(self) -> None:
        kept = kept_hash(self)
        self.count_costs()
        self.assertEqual(self.caller.login().status, 200)
        self.assertEqual((self.costs, kept_hash(self)), ([4], kept))


@pytest.mark.any_database
class TestCosts(TestCase):
    """Reading the cost of a hash."""

    def test_the_cost_of_a_hash(self) -> None:
        self.assertEqual(cost_of(dummy_hash(11)), 11)
        self.assertEqual(cost_of(dummy_hash(4).replace("$2b$", "$2y$")), 4)
        for foreign in ("", dummy_hash(4)[:-1], dummy_hash(4) + "\n", "$2b$03$" + "." * 53):
            self.assertIsNone(cost_of(foreign))

    def test_decoys_make_up_for_the_difference(self) -> None:
        costs = [cost_of(decoy) for decoy in dummy_hashes_up_to(10, 13)]
        self.assertEqual(costs, [10, 11, 12])
        self.assertEqual(dummy_hashes_up_to(12, 12), [])
        self.assertEqual(dummy_hashes_up_to(13, 12), [])
