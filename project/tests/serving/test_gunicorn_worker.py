"""What gunicorn's worker is given: connections are closed in a thread for that, and are bounded."""

import select
import socket
from unittest import TestCase

import pytest

from project.serving.gunicorn_worker import MAX_DRAINED, Lingerer

NEVER = 3600.0


@pytest.mark.any_database
class TestLingerer(TestCase):
    """Connections of this process, of which the client's ends are here too."""

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Return a client's end, and the server's."""
        client, server = socket.socketpair()
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        client.settimeout(5)
        return client, server

    def test_the_client_reads_the_end_at_once_and_may_still_send(self) -> None:
        client, server = self.pair()
        Lingerer(seconds=NEVER).close(server)
        self.assertEqual(client.recv(1), b"")
        client.sendall(b"the rest of a request")

    def test_one_whose_client_closes_is_closed(self) -> None:
        client, server = self.pair()
        Lingerer(seconds=NEVER).close(server)
        client.shutdown(socket.SHUT_WR)
        self.wait_until_closed(server)

    def test_one_whose_client_does_not_close_is_closed_after_a_while(self) -> None:
        _, server = self.pair()
        Lingerer(seconds=0.05).close(server)
        self.wait_until_closed(server)

    def test_one_that_sends_without_end_is_closed(self) -> None:
        client, server = self.pair()
        Lingerer(seconds=NEVER).close(server)
        with self.assertRaises(OSError):
            client.sendall(bytes(100 * MAX_DRAINED))

    def test_of_too_many_the_oldest_is_closed(self) -> None:
        lingerer = Lingerer(max_connections=2, seconds=NEVER)
        pairs = [self.pair() for _ in range(3)]
        for _, server in pairs:
            lingerer.close(server)
        self.assertEqual([server.fileno() < 0 for _, server in pairs], [True, False, False])

    def test_one_that_is_broken_is_closed(self) -> None:
        broken = socket.socket()
        Lingerer(seconds=NEVER).close(broken)
        self.assertLess(broken.fileno(), 0)

    def wait_until_closed(self, server: socket.socket) -> None:
        """Wait for the thread; give up in time."""
        for _ in range(500):
            if server.fileno() < 0:
                return
            select.select([], [], [], 0.01)
        self.fail("nobody has closed it")
