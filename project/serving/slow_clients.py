"""Ends the connections of clients that keep a server waiting.

No server of ours has a deadline for a body, or for an answer that is not read. The kernel knows
since when nothing was sent on a connection (tcp(7), TCP_INFO). Once a second the watch looks for
those that have been silent for too long, and shuts down their reading side (shutdown(2)). To the
server that is the client's end: a request that is not complete ends as any that was broken off,
with `bad_request` where only the body was missing, and the connection is closed. What is silent
even then has an answer to send that nobody reads, and is cut off.

TCP_INFO and the list of a process's descriptors are Linux's. Elsewhere nothing is watched.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

INTERVAL = 1.0
"""Seconds between two looks at the connections."""
DESCRIPTORS = Path("/proc/self/fd")
FAMILIES = (socket.AF_INET, socket.AF_INET6)
LAST_DATA_SENT = struct.Struct("=44xI")
"""Of Linux's `struct tcp_info`: milliseconds since data was sent, or else since the connection."""

KEEP_NOTHING = struct.pack("=ii", 1, 0)
"""A `struct linger` (socket(7)): on, for no seconds."""


class IdleConnectionReaper:
    """A thread that ends slow connections."""

    def __init__(self, client_timeout: int) -> None:
        # For the timeout a connection may be idle, or dawdle over a head: the server sees to that.
        # The rest of the request and its answer have as long again, and who reads it as well.
        self.limit = 2 * timedelta(seconds=client_timeout)
        self.last_limit = 3 * timedelta(seconds=client_timeout)
        self.started = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread, once; in the process that serves, since servers fork."""
        with self._lock:
            if not self.started and can_watch():
                threading.Thread(target=self._look_for_ever, daemon=True).start()
            self.started = True

    def _look_for_ever(self) -> None:
        clock = threading.Event()
        while not clock.wait(INTERVAL):
            with suppress(OSError):  # no descriptor is free to look with; there will be
                end_silent(self.limit, self.last_limit)


def can_watch() -> bool:
    """Tell whether this system knows since when a connection is silent."""
    return hasattr(socket, "TCP_INFO") and DESCRIPTORS.is_dir()


def end_silent(limit: timedelta, last_limit: timedelta) -> None:
    """End the reading of accepted connections on which nothing was sent for longer than this.

    Those that have been silent for longer than the last limit are cut off.
    """
    doors = _doors()
    for found in _tcp_sockets():
        with suppress(OSError):  # it has been closed meanwhile
            if _port(found) not in doors or _listens(found) or _silence(found) <= limit:
                continue
            if _silence(found) > last_limit:
                _cut_off(found)
            else:
                found.shutdown(socket.SHUT_RD)


def _cut_off(found: socket.socket) -> None:
    # Else the kernel would keep what was not read when the server has closed the connection.
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, KEEP_NOTHING)
    found.shutdown(socket.SHUT_RDWR)


def _doors() -> set[int]:
    """Return the ports on which this process accepts connections."""
    doors = set()
    for found in _tcp_sockets():
        with suppress(OSError):
            if _listens(found):
                doors.add(_port(found))
    return doors


def _tcp_sockets() -> Iterator[socket.socket]:
    """Yield every TCP socket of this process; each may be used until the next is asked for."""
    for descriptor in DESCRIPTORS.iterdir():
        try:
            found = socket.socket(fileno=int(descriptor.name))
        except OSError:  # this is no socket, or has been closed meanwhile
            continue
        try:
            if found.family in FAMILIES and found.type == socket.SOCK_STREAM:
                yield found
        finally:
            found.detach()  # it stays the server's, and open


def _port(found: socket.socket) -> int:
    port: int = found.getsockname()[1]
    return port


def _listens(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _silence(found: socket.socket) -> timedelta:
    known = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_SENT.size)
    (milliseconds,) = LAST_DATA_SENT.unpack(known)
    return timedelta(milliseconds=milliseconds)
