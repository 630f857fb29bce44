"""Closing of connections whose clients are too slow.

Neither granian nor gunicorn has a deadline for receiving a body, or for a client to read its
response. The kernel records the time since the server last sent data on a connection (tcp(7),
TCP_INFO). Once a second the reaper checks this idle time. If a connection is idle for too long, the
reaper shuts down its receiving side (shutdown(2)). To the server this is the end of the client's
data: an incomplete request fails, with `bad_request` if only its body is missing, and the server
closes the connection. If a connection is idle even longer, its client does not read the response,
and the reaper aborts the connection.

TCP_INFO and /proc/self/fd exist on Linux only. On other systems no connection is checked.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

INTERVAL = 1.0
"""Seconds between two checks of the connections."""
DESCRIPTORS = Path("/proc/self/fd")
FAMILIES = (socket.AF_INET, socket.AF_INET6)
LAST_DATA_SENT = struct.Struct("=44xI")
"""The field of Linux's `struct tcp_info` with the milliseconds since data was last sent.

If none was sent, it counts from the opening of the connection.
"""

NO_LINGER = struct.pack("=ii", 1, 0)
"""A `struct linger` (socket(7)) that discards unsent data when the connection is closed."""


class IdleConnectionReaper:
    """A thread that closes slow connections."""

    def __init__(self, client_timeout: int) -> None:
        # The server itself limits idle connections and slow header fields to the timeout. The
        # body and the handling may take as long again, and so may the reading of the response.
        self.limit = 2 * timedelta(seconds=client_timeout)
        self.abort_limit = 3 * timedelta(seconds=client_timeout)
        self.started = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread once, in the worker process: threads do not survive a fork."""
        with self._lock:
            if not self.started and is_supported():
                threading.Thread(target=self._run, daemon=True).start()
            self.started = True

    def _run(self) -> None:
        clock = threading.Event()
        while not clock.wait(INTERVAL):
            with suppress(OSError):  # no file descriptor is free; the next check may find one
                close_idle(self.limit, self.abort_limit)


def is_supported() -> bool:
    """Return whether this system reports the idle time of connections."""
    return hasattr(socket, "TCP_INFO") and DESCRIPTORS.is_dir()


def close_idle(limit: timedelta, abort_limit: timedelta) -> None:
    """Stop receiving on accepted connections that are idle for longer than the limit.

    Abort those that are idle for longer than the abort limit.
    """
    ports = _listening_ports()
    for connection in _tcp_sockets():
        with suppress(OSError):  # it was closed meanwhile
            if _port(connection) not in ports or _is_listening(connection):
                continue
            if _idle_time(connection) > abort_limit:
                _abort(connection)
            elif _idle_time(connection) > limit:
                connection.shutdown(socket.SHUT_RD)


def _abort(connection: socket.socket) -> None:
    # Otherwise the kernel keeps the unread response after the server has closed the connection.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    connection.shutdown(socket.SHUT_RDWR)


def _listening_ports() -> set[int]:
    """Return the ports on which this process accepts connections."""
    ports = set()
    for candidate in _tcp_sockets():
        with suppress(OSError):
            if _is_listening(candidate):
                ports.add(_port(candidate))
    return ports


def _tcp_sockets() -> Iterator[socket.socket]:
    """Yield every TCP socket of this process. Each is valid until the next one is yielded."""
    for descriptor in DESCRIPTORS.iterdir():
        try:
            candidate = socket.socket(fileno=int(descriptor.name))
        except OSError:  # it is not a socket, or was closed meanwhile
            continue
        try:
            if candidate.family in FAMILIES and candidate.type == socket.SOCK_STREAM:
                yield candidate
        finally:
            candidate.detach()  # leaves the server's socket open


def _port(candidate: socket.socket) -> int:
    port: int = candidate.getsockname()[1]
    return port


def _is_listening(candidate: socket.socket) -> bool:
    return bool(candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _idle_time(connection: socket.socket) -> timedelta:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_SENT.size)
    (milliseconds,) = LAST_DATA_SENT.unpack(info)
    return timedelta(milliseconds=milliseconds)
