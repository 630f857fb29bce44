"""Clients that send slowly, or do not read, through real servers: nobody else waits for them."""

import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import ClassVar
from unittest import TestCase
from urllib.parse import urlsplit

import pytest

from project.limits import MAX_CONCURRENT_REQUESTS
from project.serving import slow_clients
from project.serving.concurrency import ConcurrencyLimiter
from project.serving.slow_clients import close_idle
from project.tests.support import databases, servers
from project.tests.utils import OverHTTP, add_token, add_user

CLIENT_TIMEOUT = 2
ENDED_WITHIN = 2 * CLIENT_TIMEOUT + 4
NEVER = timedelta(days=1)
ROUNDS = 8
ANSWERED_WITHIN = 2.0
DRIBBLE = 0.2
MANY, FEW = 25, 5
"""Slow connections of a kind: those with a body outnumber the threads that work."""
HEAD = (
    b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9999\r\n"
)
UNKNOWN_PATH = {HEAD.replace(b"/auth/login", b"/nope") + b"\r\n": 5}
"""Rejected by its head; the body, which is read first, never comes."""
Kinds = Mapping[bytes, int]
"""What is sent, and on how many connections."""
WITHHELD = {b"": FEW, b"POST /auth/lo": FEW, HEAD: FEW, HEAD + b"\r\n": MANY}
DRIBBLED = {HEAD + b"X-A: ": FEW, HEAD + b"\r\n{": MANY}
UNREAD = {6 * b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n": FEW}
SMALLEST_BUFFER = 4096


def address_of(url: str) -> tuple[str, int]:
    """Return where a server listens."""
    parts = urlsplit(url)
    return str(parts.hostname), parts.port or 80


class Crowd:
    """Connections to a server, none of which ever completes a request or reads an answer."""

    def __init__(self, url: str, withheld: Kinds, dribbled: Kinds, unread: Kinds) -> None:
        self.address = address_of(url)
        self.left = threading.Event()
        self.open = ExitStack()
        self.waiting = self.connect(withheld)
        self.dribbling = self.connect(dribbled)
        self.unread = self.connect(unread)

    def connect(self, kinds: Kinds) -> list[socket.socket]:
        """Open connections with small buffers, so many of each kind; send what the kind sends."""
        connections = []
        for sent, number in kinds.items():
            for _ in range(number):
                connection = self.open.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER)
                connection.settimeout(ENDED_WITHIN)
                connection.connect(self.address)
                connection.sendall(sent)
                connections.append(connection)
        return connections

    def dribble(self) -> None:
        """Send a byte on each connection now and then, until the crowd has left."""
        while not self.left.wait(DRIBBLE):
            for connection in self.dribbling:
                with suppress(OSError):  # this one was ended
                    connection.send(b"x")


@contextmanager
def crowd_at(
    url: str, withheld: Kinds = WITHHELD, dribbled: Kinds = DRIBBLED, unread: Kinds = UNREAD
) -> Iterator[Crowd]:
    """Keep slow connections of these kinds open within the block."""
    crowd = Crowd(url, withheld, dribbled, unread)
    with crowd.open, ThreadPoolExecutor(1) as hand:
        hand.submit(crowd.dribble)
        try:
            yield crowd
        finally:
            crowd.left.set()


def last_words(connection: socket.socket) -> bytes:
    """Return what a connection still says before it ends. Raises TimeoutError if it does not."""
    said = b""
    with suppress(ConnectionResetError):  # the server had not read all that was sent
        while piece := connection.recv(65536):
            said += piece
    return said


def wait_until_cut_off(connection: socket.socket) -> None:
    """Wait until a connection is reset, without reading. Raises TimeoutError if it is not."""
    poll = select.poll()
    poll.register(connection, 0)  # an error, and nothing else
    if not poll.poll(1000 * ENDED_WITHIN):
        raise TimeoutError


def has_ended(connection: socket.socket) -> bool:
    """Return whether the server has closed the connection."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1) == b""


class SlowClients(TestCase):
    """What holds at every server that is shipped."""

    __test__ = False
    kind: ClassVar[str]
    url: ClassVar[str]
    token: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        database = databases.new_database()
        with databases.new_app(database).app_context():
            cls.token = add_token(add_user().id)
        settings = {"CLIENT_TIMEOUT_SECONDS": str(CLIENT_TIMEOUT)}
        cls.url = cls.enterClassContext(servers.running(cls.kind, database, **settings))

    def test_nobody_waits_for_slow_clients_and_all_of_them_are_ended(self) -> None:
        with crowd_at(self.url) as crowd:
            began = time.monotonic()
            rejected = crowd.connect(UNKNOWN_PATH)
            for _ in range(ROUNDS):
                self.assert_honest_clients_are_answered()
            self.assertLess(time.monotonic() - began, 2 * CLIENT_TIMEOUT, "no crowd was there")
            said = [last_words(slow) for slow in crowd.waiting + crowd.dribbling]
            for slow in rejected:
                self.assertRegex(last_words(slow), rb"^HTTP/1.1 404 ")
            for connection in crowd.unread:
                wait_until_cut_off(connection)
            self.assertLess(time.monotonic() - began, ENDED_WITHIN)
        responds = [answer for answer in said if answer]
        self.assertGreaterEqual(len(responds), MANY)
        for answer in responds:
            self.assertRegex(answer, rb"(?s)^HTTP/1.1 400 .*application/json.*bad_request")

    def assert_honest_clients_are_answered(self) -> None:
        """Assert that each of three requests gets a response in time."""
        honest = OverHTTP(self.url)
        for ask in (honest.login, partial(honest.status, self.token), partial(honest.get, "/ping")):
            began = time.monotonic()
            self.assertEqual(ask().status, 200)
            self.assertLess(time.monotonic() - began, ANSWERED_WITHIN)

    def test_a_body_that_is_announced_as_far_too_large_is_not_waited_for(self) -> None:
        with socket.create_connection(address_of(self.url), 5) as connection:
            began = time.monotonic()
            connection.sendall(HEAD.replace(b"9999", b"1073741824") + b"\r\n")
            self.assertRegex(connection.recv(65536), rb"^HTTP/1.1 413 ")
            self.assertLess(time.monotonic() - began, CLIENT_TIMEOUT)


@pytest.mark.processes
@pytest.mark.any_database
class TestGranian(SlowClients):
    """The server that is shipped."""

    __test__ = True
    kind = "granian"

    def test_one_connection_is_one_request_at_a_time(self) -> None:
        with socket.create_connection(address_of(self.url), 5) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            self.assertEqual(last_words(connection), b"")  # HTTP/2 would have sent its settings


@pytest.mark.processes
@pytest.mark.any_database
class TestGunicorn(SlowClients):
    """The server that old compose files start."""

    __test__ = True
    kind = "gunicorn"

    def test_half_a_head_is_ended_in_a_worker_that_has_served_nobody(self) -> None:
        with (
            servers.running(self.kind, databases.new_database(), CLIENT_TIMEOUT_SECONDS="1") as url,
            crowd_at(url, {HEAD: FEW}, {}, {}) as crowd,
        ):
            self.assertEqual([last_words(slow) for slow in crowd.waiting], [b""] * FEW)


@pytest.mark.any_database
class TestCloseIdle(TestCase):
    """Connections of this process, which the kernel knows."""

    def setUp(self) -> None:
        self.door = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.client = self.enterContext(socket.create_connection(self.door.getsockname(), 5))
        self.accepted = self.enterContext(self.door.accept()[0])
        self.accepted.settimeout(5)

    def close_idle(self, abort_limit: timedelta = NEVER) -> None:
        """End what has been silent at all, as soon as the kernel counts a millisecond."""
        while slow_clients._idle_time(self.accepted) <= timedelta(0):
            select.select([], [], [], 0.001)
        close_idle(timedelta(0), abort_limit)

    def test_a_silent_connection_reads_the_clients_end_and_can_answer(self) -> None:
        self.assertFalse(has_ended(self.accepted))
        self.close_idle()
        self.assertTrue(has_ended(self.accepted))
        self.accepted.sendall(b"answer")
        self.assertEqual(self.client.recv(6), b"answer")

    def test_what_the_client_sends_does_not_prolong_its_time(self) -> None:
        self.close_idle()
        self.client.sendall(b"x")
        self.close_idle()
        self.assertEqual(self.accepted.recv(9), b"x")
        self.assertTrue(has_ended(self.accepted))

    def test_one_whose_answer_nobody_reads_is_cut_off(self) -> None:
        self.close_idle()
        self.assertEqual(self.accepted.send(b"x"), 1)
        self.close_idle(abort_limit=timedelta(0))
        with self.assertRaises(BrokenPipeError):
            self.accepted.send(b"x")

    def test_one_that_is_not_silent_for_long_is_left_alone(self) -> None:
        close_idle(NEVER, NEVER)
        self.assertFalse(has_ended(self.accepted))

    def test_what_this_process_has_not_accepted_is_left_alone(self) -> None:
        self.close_idle()
        self.assertFalse(has_ended(self.client))
        with socket.create_connection(self.door.getsockname(), 5), self.door.accept()[0]:
            pass  # the server still accepts connections


@pytest.mark.any_database
class TestPlaces(TestCase):
    """Who finds no place waits for one."""

    def setUp(self) -> None:
        self.places = ConcurrencyLimiter(MAX_CONCURRENT_REQUESTS)
        self.inside = threading.Semaphore(0)
        self.leave = threading.Event()
        self.crowd = self.enterContext(ThreadPoolExecutor(2 * MAX_CONCURRENT_REQUESTS))
        self.addCleanup(self.leave.set)

    def work(self) -> None:
        """Take a place and keep it."""
        with self.places:
            self.inside.release()
            self.leave.wait()

    def wait_in_place(self) -> None:
        """Take a place and lend it."""
        with self.places, self.places.released():
            self.inside.release()
            self.leave.wait()

    def test_so_many_work_together_and_no_more(self) -> None:
        for _ in range(MAX_CONCURRENT_REQUESTS + 1):
            self.crowd.submit(self.work)
        for _ in range(MAX_CONCURRENT_REQUESTS):
            self.assertTrue(self.inside.acquire(timeout=5))
        self.assertFalse(self.inside.acquire(timeout=0.1))
        self.leave.set()
        self.assertTrue(self.inside.acquire(timeout=5))

    def test_who_waits_for_a_client_is_in_nobodys_way(self) -> None:
        for _ in range(MAX_CONCURRENT_REQUESTS):
            self.crowd.submit(self.wait_in_place)
        self.crowd.submit(self.work)
        for _ in range(MAX_CONCURRENT_REQUESTS + 1):
            self.assertTrue(self.inside.acquire(timeout=5))
