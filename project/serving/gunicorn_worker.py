"""Limits that gunicorn's threaded worker lacks: on closing connections and on header sizes.

The worker closes a connection in the thread that accepts new ones, and waits there up to two
seconds for the client to close as well. One client that does not close therefore blocks all
others. Here a separate thread waits for all closing connections. The wait itself is necessary:
closing a connection with unread data resets it, and the client may lose the end of the last
response (RFC 9112, section 9.6).
"""

import selectors
import socket
import threading
import time
from collections import OrderedDict
from contextlib import suppress

from gunicorn.http.message import Request
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

from project.limits import BODY_PIECE, MAX_CONNECTIONS, MAX_HEADER_BYTES

LINGER_SECONDS = 2.0
MAX_DRAINED = 64 * 1024
"""Bytes that a client may send while its connection closes. After more, it is closed at once."""
CHUNK_SIZE = 4096


class Lingerer:
    """A thread that closes connections after their last response."""

    def __init__(
        self, max_connections: int = MAX_CONNECTIONS, seconds: float = LINGER_SECONDS
    ) -> None:
        self._max_connections = max_connections
        self._seconds = seconds
        self._lock = threading.Lock()
        self._closing: OrderedDict[socket.socket, tuple[float, int]] = OrderedDict()
        """The deadline of each connection and the bytes received since, oldest connection first."""
        self._selector = selectors.DefaultSelector()
        self._has_connections = threading.Event()
        self._started = False

    def close(self, connection: socket.socket) -> None:
        """Close a connection when its client does, or at the deadline.

        Where too many connections are closing, the oldest one is closed at once.
        """
        try:
            connection.shutdown(socket.SHUT_WR)
            connection.setblocking(False)
        except OSError:  # the connection is broken
            connection.close()
            return
        with self._lock:
            self._start()
            if len(self._closing) >= self._max_connections:
                self._end(next(iter(self._closing)))
            self._closing[connection] = (time.monotonic() + self._seconds, 0)
            self._selector.register(connection, selectors.EVENT_READ)
        self._has_connections.set()

    def _start(self) -> None:
        """Start the thread once, in the worker process: threads do not survive gunicorn's fork."""
        if not self._started:
            threading.Thread(target=self._run, daemon=True).start()
            self._started = True

    def _run(self) -> None:
        while True:
            self._has_connections.wait()
            ready = self._selector.select(self._seconds / 4)
            with self._lock:
                for key, _ in ready:
                    self._drain(key.fileobj)  # type: ignore[arg-type]  # it holds sockets only
                self._end_overdue()
                if not self._closing:
                    self._has_connections.clear()

    def _drain(self, connection: socket.socket) -> None:
        """Discard the client's data; close the connection at the end of it, or after too much."""
        if connection not in self._closing:  # it was closed to make room
            return
        deadline, drained = self._closing[connection]
        chunk = b""
        with suppress(OSError):  # the connection is broken
            chunk = connection.recv(CHUNK_SIZE)
        if chunk and drained < MAX_DRAINED:
            self._closing[connection] = (deadline, drained + len(chunk))
        else:
            self._end(connection)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        overdue = [one for one, (deadline, _) in self._closing.items() if deadline <= now]
        for connection in overdue:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        del self._closing[connection]
        self._selector.unregister(connection)
        connection.close()


def close_in_background() -> None:
    """Make this worker close its connections in a thread of their own."""
    lingerer = Lingerer()
    close = TConn.close

    def close_or_linger(connection: TConn, graceful: bool = False) -> None:
        """Pass a graceful close to the lingerer; close at once otherwise, as gunicorn does."""
        if graceful:
            lingerer.close(connection.sock)
        else:
            close(connection)

    TConn.close = close_or_linger


def limit_read_ahead() -> None:
    """Read bodies in small chunks. gunicorn reads 1 MB ahead, and copies the rest at each read."""
    SocketUnreader.max_body_chunk = BODY_PIECE


def limit_header_bytes() -> None:
    """Limit the total size of a request's header fields. gunicorn limits each field only."""

    def limit(_: Request) -> int:
        return MAX_HEADER_BYTES

    def ignore(_: Request, _computed: int) -> None:
        """Ignore the limit that gunicorn computes for each request."""

    Request.max_buffer_headers = property(limit, ignore)
