"""The additions to gunicorn's worker: a thread that closes connections, with limits."""

import select
import socket
from unittest import TestCase

import pytest

from project.serving.gunicorn_worker import MAX_DRAINED, Lingerer

NEVER = 3600.0


@pytest.mark.any_database
class TestLingerer(TestCase):
    """Pairs of connected sockets; the lingerer closes the server's end."""

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Return the client's end and the server's end of a connection."""
        client, server = socket.socketpair()
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        client.settimeout(5)
        return client, server

    def test_the_client_reads_the_end_at_once_and_can_still_send(self) -> None:
        client, server = self.pair()
        Lingerer(seconds=NEVER).close(server)
        self.assertEqual(client.recv(1), b"")
        client.sendall(b"the rest of a request")

    def test_a_connection_is_closed_when_its_client_closes(self) -> None:
        client, server = self.pair()
        Lingerer(seconds=NEVER).close(server)
        client.shutdown(socket.SHUT_WR)
        self.wait_until_closed(server)

    def test_a_connection_is_closed_at_its_deadline(self) -> None:
        _, server = self.pair()
        Lingerer(seconds=0.05).close(server)
        self.wait_until_closed(server)

    def test_a_connection_is_closed_after_too_much_data(self) -> None:
        client, server = self.pair()
        Lingerer(seconds=NEVER).close(server)
        with self.assertRaises(OSError):
            client.sendall(bytes(100 * MAX_DRAINED))

    def test_the_oldest_connection_is_closed_beyond_the_maximum(self) -> None:
        lingerer = Lingerer(max_connections=2, seconds=NEVER)
        pairs = [self.pair() for _ in range(3)]
        for _, server in pairs:
            lingerer.close(server)
        self.assertEqual([server.fileno() < 0 for _, server in pairs], [True, False, False])

    def test_a_broken_connection_is_closed(self) -> None:
        broken = socket.socket()
        Lingerer(seconds=NEVER).close(broken)
        self.assertLess(broken.fileno(), 0)

    def wait_until_closed(self, server: socket.socket) -> None:
        """Wait until the thread has closed the connection; fail after five seconds."""
        for _ in range(500):
            if server.fileno() < 0:
                return
            select.select([], [], [], 0.01)
        self.fail("the connection is still open")
