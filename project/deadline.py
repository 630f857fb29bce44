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

import psycopg2.extensions
from flask import Flask
from psycopg2 import OperationalError
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

EVENTS = {POLL_READ: select.POLLIN, POLL_WRITE: select.POLLOUT}
LAST_WAIT = 0.1
"""Seconds for each further wait of a request whose time is up: it has to end its transaction."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to wait for a connection, and for an answer on it; None is without end."""

    connect: float
    answer: float | None


class LimitedConnection(psycopg2.extensions.connection):  # type: ignore[misc]  # has no types
    """A connection to PostgreSQL on which every wait ends."""

    def __init__(self, limits: Limits, dsn: str) -> None:
        self.limit: float | None = limits.connect
        super().__init__(dsn)
        self.limit = limits.answer


class _Patience(threading.local):
    """What is left of the seconds that this thread's request may wait; None outside of one."""

    left: float | None = None


_patience = _Patience()


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
    ends_at = began + limit if (limit := _limit(connection)) is not None else None
    try:
        while state != POLL_OK:
            _wait_for_socket(connection.fileno(), EVENTS[state], ends_at)
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


def _wait_for_socket(socket: int, events: int, ends_at: float | None) -> None:
    poller = select.poll()
    poller.register(socket, events)
    left = None if ends_at is None else max(0.0, ends_at - monotonic()) * 1000
    if not poller.poll(left):
        raise OperationalError("PostgreSQL has not answered in time")
