"""Password hashing: the pool, overload, and equal responses to all failed logins."""

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
    """The pool without an app."""

    def test_run_returns_the_result_and_raises_the_error_of_the_work(self) -> None:
        pool = HashingPool(threads=1, queue=0, niceness=0)
        self.assertEqual(pool.run(lambda: 7), 7)
        with self.assertRaises(ZeroDivisionError):
            pool.run(lambda: 1 // 0)
        self.assertEqual(pool.run(lambda: 8), 8)

    def test_a_full_pool_rejects_work_at_once(self) -> None:
        pool = HashingPool(threads=2, queue=3, niceness=0)
        free, errors = threading.Event(), queue.SimpleQueue[PoolFull]()

        def wait() -> bool:
            try:
                return pool.run(partial(free.wait, 30))
            except PoolFull as error:
                errors.put(error)
                return False

        with ThreadPoolExecutor(9) as crowd:
            waiting = [crowd.submit(wait) for _ in range(9)]
            for _ in range(4):
                errors.get(timeout=30)
            free.set()
        self.assertEqual(sum(future.result() for future in waiting), 5)
        self.assertEqual(pool.run(lambda: 7), 7)

    def test_one_network_gets_at_most_half_of_the_slots(self) -> None:
        pool = HashingPool(threads=2, queue=3, niceness=0)
        free = threading.Event()
        with ThreadPoolExecutor(4) as crowd, slots_held(pool, 2, "192.0.2.1"):
            self.assertTrue(pool.is_full("192.0.2.1"))
            with self.assertRaises(PoolFull):
                pool.run(lambda: 7, "192.0.2.1")
            others = [crowd.submit(pool.run, free.wait, f"192.0.2.{n}") for n in (2, 3, 4)]
            free.set()
            self.assertTrue(all(other.result() for other in others))
        self.assertEqual(pool.run(lambda: 8, "192.0.2.1"), 8)

    def test_one_network_gets_at_least_one_slot(self) -> None:
        pool = HashingPool(threads=1, queue=0, niceness=0)
        self.assertEqual(pool.run(lambda: 7, "192.0.2.1"), 7)
        with slots_held(pool, 1, "192.0.2.1"):
            self.assertTrue(pool.is_full("192.0.2.2"))
            self.assertTrue(pool.is_full())

    def test_concurrent_work_is_limited_to_the_threads(self) -> None:
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
    def test_only_the_threads_of_the_pool_have_a_higher_niceness(self) -> None:
        normal = os.getpriority(os.PRIO_PROCESS, 0)
        pool = HashingPool(threads=1, queue=0, niceness=7)
        nicer = min(19, normal + 7)
        self.assertEqual(pool.run(partial(os.getpriority, os.PRIO_PROCESS, 0)), nicer)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, 0), normal)

    @skipUnless(sys.platform == "linux", "elsewhere a thread has no niceness of its own")
    def test_the_pool_works_if_niceness_cannot_be_changed(self) -> None:
        with mock.patch("os.setpriority", side_effect=PermissionError):
            pool = HashingPool(threads=1, queue=0, niceness=7)
            self.assertEqual(pool.run(lambda: 7), 7)

    def test_a_caller_waits_in_the_given_context(self) -> None:
        context = mock.MagicMock()
        pool = HashingPool(threads=1, queue=0, niceness=0, while_waiting=context)
        pool.run(lambda: self.assertEqual(context.return_value.__enter__.call_count, 1))
        self.assertEqual(context.return_value.__exit__.call_count, 1)

    def test_the_first_hash_starts_the_first_thread(self) -> None:
        before = set(threading.enumerate())
        pool = HashingPool(threads=4, queue=0, niceness=0)
        self.assertLessEqual(set(threading.enumerate()), before)
        self.assertNotIn(pool.run(threading.current_thread), before)
        self.assertEqual(len(set(threading.enumerate()) - before), 1)

    def test_the_default_is_a_thread_for_each_core(self) -> None:
        app = databases.shared_app()
        self.assertEqual(app.config["HASH_THREADS"], available_cores())


@contextmanager
def slots_held(pool: HashingPool, slots: int, network: str) -> Iterator[None]:
    """Hold this number of slots for a network during the block."""
    with ExitStack() as held:
        for _ in range(slots):
            held.enter_context(pool._slots.hold(network))
        yield


@contextmanager
def occupied(pool: HashingPool) -> Iterator[None]:
    """Occupy the only slot of a pool during the block."""
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
    """A pool with one slot, which is occupied."""

    overrides: ClassVar[dict[str, object]] = {"HASH_THREADS": 1, "HASH_QUEUE": 0}

    def setUp(self) -> None:
        super().setUp()
        self.admin = self.add_token(self.add_user(admin=True))
        self.pool = get_component(HashingPool, self.app)

    def assert_overloaded(self, reply: Reply) -> None:
        """Assert that a response is a 503 with Retry-After."""
        self.assert_error(reply, 503, OVERLOADED, "overloaded")
        self.assertIn(int(reply.headers["Retry-After"]), range(3, 9))

    def test_requests_that_hash_are_rejected_and_change_nothing(self) -> None:
        new = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
        with occupied(self.pool):
            self.assert_overloaded(self.caller.login())
            self.assert_overloaded(self.caller.login("nobody@example.com"))
            self.assert_overloaded(self.caller.register())
            self.assert_overloaded(self.caller.post("/users", new, self.admin))
            self.assertEqual(self.caller.status(self.admin).status, 200)
        self.assertEqual(self.count(User), 1)
        self.assertEqual(self.caller.login().status, 200)

    def test_a_rejected_login_does_not_count_as_an_attempt(self) -> None:
        with occupied(self.pool):
            for _ in range(20):
                self.assert_overloaded(self.caller.login())
                self.assert_overloaded(self.caller.login("nobody@example.com"))
        self.assertEqual(self.caller.login(password="wrong").status, 404)
        self.assertEqual(self.caller.login().status, 200)

    def test_a_login_succeeds_if_its_hash_cannot_be_renewed(self) -> None:
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
        self.assertEqual(stored_hash(self), old)


def bcrypt_hash(password: str, rounds: int) -> str:
    """Return a hash with this cost."""
    with databases.shared_app(BCRYPT_LOG_ROUNDS=rounds).app_context():
        return User.hash_password(password)


def stored_hash(case: BaseTestCase) -> str:
    """Return the stored hash of the only user."""
    with case.app.app_context():
        return db.session.scalars(select(User.password)).one()


class TestShare(BaseTestCase):
    """The share of one network in the slots of the pool."""

    overrides: ClassVar[dict[str, object]] = {"HASH_THREADS": 1, "HASH_QUEUE": 3}

    def statuses(self, address: str) -> list[int]:
        """Log in and register from this address."""
        assert isinstance(self.caller, InProcess)
        self.caller.client.environ_base["REMOTE_ADDR"] = address
        name = f"user{len(address)}"
        register = self.caller.register(name, f"{name}@example.com")
        return [self.caller.login().status, register.status]

    def test_a_network_beyond_its_share_is_rejected_and_others_are_not(self) -> None:
        self.add_user()
        pool = get_component(HashingPool, self.app)
        for storming, near, far in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.22"),
            ("2001:db8:1::/48", "2001:db8:1:2::3", "2001:db8:22::3"),
        ):
            with slots_held(pool, 2, storming):
                self.assertEqual(self.statuses(near), [503, 503])
                self.assertEqual(self.statuses(far), [200, 201])


class TestLongTexts(BaseTestCase):
    """Texts longer than any account's are not normalized, since that would be slow."""

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
        """Log in with a body in UTF-8, so that more characters fit than with escapes."""
        body = json.dumps({"email": email, "password": password}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        return self.caller.send("POST", "/auth/login", body, headers)

    def test_all_characters_of_the_longest_password_count(self) -> None:
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


class TestFailedLogins(BaseTestCase):
    """Failed logins, which all get the same response at the same cost."""

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.costs: list[int | None] = []

    def count_costs(self) -> None:
        """Record the cost of every later hash."""
        hashpw = bcrypt.hashpw

        def counting(password: bytes, salt: bytes) -> bytes:
            self.costs.append(int(salt.split(b"$")[2]))
            return hashpw(password, salt)

        self.enterContext(mock.patch("bcrypt.hashpw", counting))

    def test_every_failed_login_costs_one_hash_and_gets_the_same_response(self) -> None:
        responses = {self.caller.login("nobody@example.com").raw.partition(b"request")[0]}
        self.count_costs()
        self.assert_login_fails("nobody@example.com", PASSWORD, responses)
        self.assert_login_fails("michael@example.com", "wrong", responses)
        self.assert_login_fails("michael@example.com", "x" * 5000, responses)
        self.assert_login_fails("michael@example.com", "", responses)
        self.set_user(self.user_id, active=False)
        self.assert_login_fails("michael@example.com", "wrong", responses)
        for foreign in (
            "",
            "plain",
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZQ$aGFzaA",
            "$2b$12$short",
        ):
            self.set_user(self.user_id, password=foreign)
            self.assert_login_fails("michael@example.com", PASSWORD, responses)
        self.assertEqual(len(responses), 1)

    def assert_login_fails(self, email: str, password: str, responses: set[bytes]) -> None:
        """Assert that a failed login costs one hash of the current cost; record the response."""
        self.caller = InProcess(databases.shared_app(THROTTLE_ENABLED=False).test_client())
        self.costs.clear()
        reply = self.caller.login(email, password)
        self.assert_error(reply, 404, UNKNOWN, "invalid_credentials")
        self.assertEqual(self.costs, [4])
        responses.add(reply.raw)

    def test_a_hash_of_a_lower_cost_takes_as_long_as_one_of_the_current_cost(self) -> None:
        self.set_user(self.user_id, password=bcrypt_hash(PASSWORD, 4))
        self.caller = InProcess(databases.shared_app(BCRYPT_LOG_ROUNDS=7).test_client())
        self.count_costs()
        self.assertEqual(self.caller.login(password="wrong").status, 404)
        self.assertEqual(sum(2**cost for cost in self.costs if cost), 2**7)

    def test_a_login_renews_a_hash_of_another_cost(self) -> None:
        for cost in (5, 6):
            self.set_user(self.user_id, password=bcrypt_hash(PASSWORD, cost))
            self.assertEqual(self.caller.login(password="wrong").status, 404)
            self.assertEqual(cost_of(stored_hash(self)), cost)
            self.assertEqual(self.caller.login().status, 200)
            self.assertEqual(cost_of(stored_hash(self)), 4)
            self.assertEqual(self.caller.login().status, 200)

    def test_a_login_with_the_current_cost_hashes_once(self) -> None:
        stored = stored_hash(self)
        self.count_costs()
        self.assertEqual(self.caller.login().status, 200)
        self.assertEqual((self.costs, stored_hash(self)), ([4], stored))


@pytest.mark.any_database
class TestCosts(TestCase):
    """The cost of a hash, and dummy hashes."""

    def test_the_cost_is_read_from_a_hash(self) -> None:
        self.assertEqual(cost_of(dummy_hash(11)), 11)
        self.assertEqual(cost_of(dummy_hash(4).replace("$2b$", "$2y$")), 4)
        for foreign in ("", dummy_hash(4)[:-1], dummy_hash(4) + "\n", "$2b$03$" + "." * 53):
            self.assertIsNone(cost_of(foreign))

    def test_dummy_hashes_fill_up_the_difference(self) -> None:
        costs = [cost_of(dummy) for dummy in dummy_hashes_up_to(10, 13)]
        self.assertEqual(costs, [10, 11, 12])
        self.assertEqual(dummy_hashes_up_to(12, 12), [])
        self.assertEqual(dummy_hashes_up_to(13, 12), [])
