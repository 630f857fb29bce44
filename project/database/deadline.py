"""How long anybody waits for PostgreSQL: never for ever.

libpq waits for a server that hangs, or a network that swallows what is sent, for as long as the
kernel believes in the connection. psycopg2 hands each of its waits to a callback instead where
there is one; ours gives up in time, and psycopg2 then closes the connection.
Source: https://www.psycopg.org/docs/advanced.html#green-support
"""

import select
import threading
from dataclasses import dataclass
from time import monotonic
from typing import NoReturn

import psycopg2.extensions
from flask import Flask
from psycopg2 import OperationalError
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

EVENTS = {POLL_READ: select.POLLIN, POLL_WRITE: select.POLLOUT}
LAST_WAIT = 0.1
"""Seconds for each further wait of a request whose time is up: it has to end its transaction."""

REST = 1.0
"""Seconds after a wait in vain in which no connection is tried: else the requests of a crowd, each
of which finds out for itself, would queue for the threads that wait."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to wait for a connection, and for an answer on it; None is without end."""

    connect: float
    answer: float | None


class LimitedConnection(psycopg2.extensions.connection):  # type: ignore[misc]  # has no types
    """A connection to PostgreSQL on which every wait ends.

    Raises OperationalError where it cannot be made in time.
    """

    def __init__(self, limits: Limits, dsn: str) -> None:
        if monotonic() < _silent_until.get(dsn, 0.0):
            raise OperationalError("PostgreSQL has not answered a moment ago")
        self.address = dsn
        self.limit: float | None = limits.connect
        super().__init__(dsn)
        self.limit = limits.answer


class _Patience(threading.local):
    """What is left of the seconds that this thread's request may wait; None outside of one."""

    left: float | None = None


_patience = _Patience()
_silent_until: dict[str, float] = {}
"""Until when no connection to a server is tried, by its address."""


def init_app(app: Flask, seconds: float) -> None:
    """Let a request of this app wait for PostgreSQL this long in all.

    Until what it leaves open is closed: to be called before the extension that does so, since what
    is registered last is run first.
    """
    psycopg2.extensions.set_wait_callback(wait)
    app.before_request(lambda: begin(seconds))
    app.teardown_appcontext(end)


def begin(seconds: float) -> None:
    """Let this thread wait this long in all from now on."""
    _patience.left = seconds


def end(_error: BaseException | None = None) -> None:
    """Let each wait of this thread have its own limit again."""
    _patience.left = None


def wait(connection: psycopg2.extensions.connection) -> None:
    """Wait until PostgreSQL has done what was asked for on this connection.

    Raises OperationalError when the time is up.
    """
    state = connection.poll()
    began = monotonic()
    limit = _limit(connection)
    try:
        while state != POLL_OK:
            left = None if limit is None else limit - (monotonic() - began)
            if not _is_ready(connection.fileno(), EVENTS[state], left):
                _give_up(connection, limit)
            state = connection.poll()
    finally:
        if _patience.left is not None:
            _patience.left -= monotonic() - began


def _limit(connection: psycopg2.extensions.connection) -> float | None:
    """Return how many seconds this wait may take."""
    own = connection.limit if isinstance(connection, LimitedConnection) else None
    if own is None or _patience.left is None:
        return own
    return max(LAST_WAIT, min(own, _patience.left))


def _is_ready(socket: int, events: int, seconds: float | None) -> bool:
    """Tell whether the socket could be read, or written, within this time."""
    poller = select.poll()
    poller.register(socket, events)
    return bool(poller.poll(None if seconds is None else max(0.0, seconds) * 1000))


def _give_up(connection: LimitedConnection, limit: float | None) -> NoReturn:
    # A request that had little time left has not shown that the server is silent.
    if limit == connection.limit:
        _silent_until[connection.address] = monotonic() + REST
    raise OperationalError("PostgreSQL has not answered in time")
