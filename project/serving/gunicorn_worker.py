"""What gunicorn's worker does not bound by itself: how long it lingers, and how long a head is.

The worker closes a connection in the thread that accepts, and waits there for up to two
seconds for the client to close too: a client that does not keeps everybody out. Here one thread
waits for all of them. The wait is needed: a connection that is closed while something unread is in
it is reset, and the end of the last response may be lost (RFC 9112, section 9.6).
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
"""Bytes that a client may still send; one that sends more has no use for its response."""
PIECE = 4096


class Lingerer:
    """A thread that closes connections which have sent their last response."""

    def __init__(self, most: int = MAX_CONNECTIONS, seconds: float = LINGER_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = threading.Lock()
        self._waiting: OrderedDict[socket.socket, tuple[float, int]] = OrderedDict()
        """Of each connection, oldest first: until when it waits, and what it has sent since."""
        self._selector = selectors.DefaultSelector()
        self._has_some = threading.Event()
        self._started = False

    def close(self, connection: socket.socket) -> None:
        """Close a connection when its client does, or after a while; of too many, the oldest."""
        try:
            connection.shutdown(socket.SHUT_WR)
            connection.setblocking(False)
        except OSError:  # it is broken
            connection.close()
            return
        with self._lock:
            self._start()
            if len(self._waiting) >= self._most:
                self._end(next(iter(self._waiting)))
            self._waiting[connection] = (time.monotonic() + self._seconds, 0)
            self._selector.register(connection, selectors.EVENT_READ)
        self._has_some.set()

    def _start(self) -> None:
        """Start the thread, once; in the process that serves, since gunicorn forks."""
        if not self._started:
            threading.Thread(target=self._run, daemon=True).start()
            self._started = True

    def _run(self) -> None:
        while True:
            self._has_some.wait()
            ready = self._selector.select(self._seconds / 4)
            with self._lock:
                for key, _ in ready:
                    self._drain(key.fileobj)  # type: ignore[arg-type]  # only sockets are in it
                self._end_overdue()
                if not self._waiting:
                    self._has_some.clear()

    def _drain(self, connection: socket.socket) -> None:
        """Read and drop what the client sends; end the connection at its end, or of too much."""
        if connection not in self._waiting:  # it was one too many
            return
        until, drained = self._waiting[connection]
        piece = b""
        with suppress(OSError):  # it is broken
            piece = connection.recv(PIECE)
        if piece and drained < MAX_DRAINED:
            self._waiting[connection] = (until, drained + len(piece))
        else:
            self._end(connection)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        overdue = [one for one, (until, _) in self._waiting.items() if until <= now]
        for connection in overdue:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        del self._waiting[connection]
        self._selector.unregister(connection)
        connection.close()


def linger_elsewhere() -> None:
    """Have this process close its connections in a thread for that."""
    lingerer = Lingerer()
    close = TConn.close

    def close_elsewhere(connection: TConn, graceful: bool = False) -> None:
        """Close at once, as gunicorn does, or where nobody waits for it."""
        if graceful:
            lingerer.close(connection.sock)
        else:
            close(connection)

    TConn.close = close_elsewhere


def bound_reading_ahead() -> None:
    """Have a body be read in pieces; gunicorn reads 1 MB ahead and copies the rest at each read."""
    SocketUnreader.max_body_chunk = BODY_PIECE


def bound_heads() -> None:
    """Bound all header fields of a request together; gunicorn would take as many of full size."""

    def bound(_: Request) -> int:
        return MAX_HEADER_BYTES

    def keep(_: Request, _computed: int) -> None:
        """Leave the bound as it is: gunicorn computes its own in each request."""

    Request.max_buffer_headers = property(bound, keep)
