"""Clients that send slowly or do not read, which must not delay other clients."""

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
MAX_CLOSE_SECONDS = 2 * CLIENT_TIMEOUT + 4
NEVER = timedelta(days=1)
ROUNDS = 8
MAX_RESPONSE_SECONDS = 2.0
DRIBBLE = 0.2
MANY, FEW = 25, 5
"""Numbers of slow connections; those with a body are more than the request slots."""
HEAD = (
    b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9999\r\n"
)
UNKNOWN_PATH = {HEAD.replace(b"/auth/login", b"/nope") + b"\r\n": 5}
"""Requests that are rejected, whose body is read first but never arrives."""
Kinds = Mapping[bytes, int]
"""The bytes to send, and the number of connections to send them on."""
WITHHELD = {b"": FEW, b"POST /auth/lo": FEW, HEAD: FEW, HEAD + b"\r\n": MANY}
DRIBBLED = {HEAD + b"X-A: ": FEW, HEAD + b"\r\n{": MANY}
UNREAD = {6 * b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n": FEW}
SMALLEST_BUFFER = 4096


def address_of(url: str) -> tuple[str, int]:
    """Return the host and port of a server."""
    parts = urlsplit(url)
    return str(parts.hostname), parts.port or 80


class Crowd:
    """Connections to a server that never complete a request or read a response."""

    def __init__(self, url: str, withheld: Kinds, dribbled: Kinds, unread: Kinds) -> None:
        self.address = address_of(url)
        self.left = threading.Event()
        self.open = ExitStack()
        self.waiting = self.connect(withheld)
        self.dribbling = self.connect(dribbled)
        self.unread = self.connect(unread)

    def connect(self, kinds: Kinds) -> list[socket.socket]:
        """Open this number of connections of each kind, with small buffers, and send its bytes."""
        connections = []
        for sent, number in kinds.items():
            for _ in range(number):
                connection = self.open.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER)
                connection.settimeout(MAX_CLOSE_SECONDS)
                connection.connect(self.address)
                connection.sendall(sent)
                connections.append(connection)
        return connections

    def dribble(self) -> None:
        """Repeatedly send a byte on each connection, until the crowd has left."""
        while not self.left.wait(DRIBBLE):
            for connection in self.dribbling:
                with suppress(OSError):  # the server has closed it
                    connection.send(b"x")


@contextmanager
def crowd_at(
    url: str, withheld: Kinds = WITHHELD, dribbled: Kinds = DRIBBLED, unread: Kinds = UNREAD
) -> Iterator[Crowd]:
    """Keep slow connections of these kinds open during the block."""
    crowd = Crowd(url, withheld, dribbled, unread)
    with crowd.open, ThreadPoolExecutor(1) as dribbler:
        dribbler.submit(crowd.dribble)
        try:
            yield crowd
        finally:
            crowd.left.set()


def read_until_closed(connection: socket.socket) -> bytes:
    """Return the bytes until the server closes a connection. Raises TimeoutError."""
    received = b""
    with suppress(ConnectionResetError):  # the server had not read everything
        while piece := connection.recv(65536):
            received += piece
    return received


def wait_until_reset(connection: socket.socket) -> None:
    """Wait until a connection is reset, without reading. Raises TimeoutError."""
    poll = select.poll()
    poll.register(connection, 0)  # errors only
    if not poll.poll(1000 * MAX_CLOSE_SECONDS):
        raise TimeoutError


def is_closed(connection: socket.socket) -> bool:
    """Return whether the server has closed the connection."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1) == b""


class SlowClients(TestCase):
    """The requirements for both servers."""

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

    def test_slow_clients_delay_no_other_client_and_are_disconnected(self) -> None:
        with crowd_at(self.url) as crowd:
            began = time.monotonic()
            rejected = crowd.connect(UNKNOWN_PATH)
            for _ in range(ROUNDS):
                self.assert_other_clients_get_responses()
            self.assertLess(
                time.monotonic() - began, 2 * CLIENT_TIMEOUT, "the crowd was closed too early"
            )
            received = [read_until_closed(slow) for slow in crowd.waiting + crowd.dribbling]
            for slow in rejected:
                self.assertRegex(read_until_closed(slow), rb"^HTTP/1.1 404 ")
            for connection in crowd.unread:
                wait_until_reset(connection)
            self.assertLess(time.monotonic() - began, MAX_CLOSE_SECONDS)
        responses = [response for response in received if response]
        self.assertGreaterEqual(len(responses), MANY)
        for response in responses:
            self.assertRegex(response, rb"(?s)^HTTP/1.1 400 .*application/json.*bad_request")

    def assert_other_clients_get_responses(self) -> None:
        """Assert that three kinds of requests get a response in time."""
        honest = OverHTTP(self.url)
        for send in (
            honest.login,
            partial(honest.status, self.token),
            partial(honest.get, "/ping"),
        ):
            began = time.monotonic()
            self.assertEqual(send().status, 200)
            self.assertLess(time.monotonic() - began, MAX_RESPONSE_SECONDS)

    def test_a_much_too_large_body_is_rejected_without_waiting(self) -> None:
        with socket.create_connection(address_of(self.url), 5) as connection:
            began = time.monotonic()
            connection.sendall(HEAD.replace(b"9999", b"1073741824") + b"\r\n")
            self.assertRegex(connection.recv(65536), rb"^HTTP/1.1 413 ")
            self.assertLess(time.monotonic() - began, CLIENT_TIMEOUT)


@pytest.mark.processes
@pytest.mark.any_database
class TestGranian(SlowClients):
    """granian, the production server."""

    __test__ = True
    kind = "granian"

    def test_http_2_is_not_supported(self) -> None:
        with socket.create_connection(address_of(self.url), 5) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            self.assertEqual(
                read_until_closed(connection), b""
            )  # HTTP/2 would have sent its settings


@pytest.mark.processes
@pytest.mark.any_database
class TestGunicorn(SlowClients):
    """gunicorn, which the service also supports."""

    __test__ = True
    kind = "gunicorn"

    def test_a_new_worker_disconnects_clients_with_incomplete_header_fields(self) -> None:
        with (
            servers.running(self.kind, databases.new_database(), CLIENT_TIMEOUT_SECONDS="1") as url,
            crowd_at(url, {HEAD: FEW}, {}, {}) as crowd,
        ):
            self.assertEqual([read_until_closed(slow) for slow in crowd.waiting], [b""] * FEW)


@pytest.mark.any_database
class TestCloseIdle(TestCase):
    """The reaper, with connections of this process."""

    def setUp(self) -> None:
        self.listener = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.client = self.enterContext(socket.create_connection(self.listener.getsockname(), 5))
        self.accepted = self.enterContext(self.listener.accept()[0])
        self.accepted.settimeout(5)

    def close_idle(self, abort_limit: timedelta = NEVER) -> None:
        """Close idle connections as soon as the kernel counts a millisecond of idle time."""
        while slow_clients._idle_time(self.accepted) <= timedelta(0):
            select.select([], [], [], 0.001)
        close_idle(timedelta(0), abort_limit)

    def test_an_idle_connection_reads_the_end_and_can_still_respond(self) -> None:
        self.assertFalse(is_closed(self.accepted))
        self.close_idle()
        self.assertTrue(is_closed(self.accepted))
        self.accepted.sendall(b"response")
        self.assertEqual(self.client.recv(8), b"response")

    def test_data_of_the_client_does_not_extend_its_time(self) -> None:
        self.close_idle()
        self.client.sendall(b"x")
        self.close_idle()
        self.assertEqual(self.accepted.recv(9), b"x")
        self.assertTrue(is_closed(self.accepted))

    def test_a_connection_with_an_unread_response_is_aborted(self) -> None:
        self.close_idle()
        self.assertEqual(self.accepted.send(b"x"), 1)
        self.close_idle(abort_limit=timedelta(0))
        with self.assertRaises(BrokenPipeError):
            self.accepted.send(b"x")

    def test_a_connection_below_the_limit_is_unchanged(self) -> None:
        close_idle(NEVER, NEVER)
        self.assertFalse(is_closed(self.accepted))

    def test_connections_that_were_not_accepted_are_unchanged(self) -> None:
        self.close_idle()
        self.assertFalse(is_closed(self.client))
        with socket.create_connection(self.listener.getsockname(), 5), self.listener.accept()[0]:
            pass  # the listening socket still accepts connections


@pytest.mark.any_database
class TestConcurrencyLimiter(TestCase):
    """The slots for concurrent requests."""

    def setUp(self) -> None:
        self.limiter = ConcurrencyLimiter(MAX_CONCURRENT_REQUESTS)
        self.inside = threading.Semaphore(0)
        self.leave = threading.Event()
        self.crowd = self.enterContext(ThreadPoolExecutor(2 * MAX_CONCURRENT_REQUESTS))
        self.addCleanup(self.leave.set)

    def work(self) -> None:
        """Hold a slot until the end of the test."""
        with self.limiter:
            self.inside.release()
            self.leave.wait()

    def wait_without_slot(self) -> None:
        """Acquire a slot, and release it while waiting."""
        with self.limiter, self.limiter.released():
            self.inside.release()
            self.leave.wait()

    def test_work_is_limited_to_the_number_of_slots(self) -> None:
        for _ in range(MAX_CONCURRENT_REQUESTS + 1):
            self.crowd.submit(self.work)
        for _ in range(MAX_CONCURRENT_REQUESTS):
            self.assertTrue(self.inside.acquire(timeout=5))
        self.assertFalse(self.inside.acquire(timeout=0.1))
        self.leave.set()
        self.assertTrue(self.inside.acquire(timeout=5))

    def test_a_request_that_waits_for_its_client_holds_no_slot(self) -> None:
        for _ in range(MAX_CONCURRENT_REQUESTS):
            self.crowd.submit(self.wait_without_slot)
        self.crowd.submit(self.work)
        for _ in range(MAX_CONCURRENT_REQUESTS + 1):
            self.assertTrue(self.inside.acquire(timeout=5))
