"""Time limits for every wait for PostgreSQL.

When the server hangs or the network drops packets, libpq waits until the kernel closes the
connection. psycopg2 calls a wait callback instead, if one is set. The callback in this module
raises an error when the time is up, and psycopg2 then closes the connection.
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
CLEANUP_WAIT = 0.1
"""Seconds for each further wait of a request whose budget is used up, so that it can roll back."""

COOLDOWN = 1.0
"""Seconds without new connections after a server has timed out; otherwise every request would wait
for its own time-out and occupy a thread meanwhile."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to wait for a connection, and for a response on it; None means no limit."""

    connect: float
    response: float | None


class LimitedConnection(psycopg2.extensions.connection):  # type: ignore[misc]  # has no types
    """A PostgreSQL connection with a time limit on every wait.

    Raises OperationalError if it cannot be established in time.
    """

    def __init__(self, limits: Limits, dsn: str) -> None:
        if monotonic() < _open_until.get(dsn, 0.0):
            raise OperationalError(
                "PostgreSQL timed out recently; no new connection is attempted yet"
            )
        self.address = dsn
        self.limit: float | None = limits.connect
        super().__init__(dsn)
        self.limit = limits.response


class _Budget(threading.local):
    """The seconds that this thread's request may still wait; None outside a request."""

    left: float | None = None


_budget = _Budget()
_open_until: dict[str, float] = {}
"""A circuit breaker for each server: no connection is attempted before this time."""


def init_app(app: Flask, seconds: float) -> None:
    """Limit the total time that a request of this app waits for PostgreSQL.

    Call this before the database extension's `init_app`: teardown functions run in reverse order,
    and the limit has to cover the rollback at the end of a request.
    """
    psycopg2.extensions.set_wait_callback(wait)
    app.before_request(lambda: begin(seconds))
    app.teardown_appcontext(end)


def begin(seconds: float) -> None:
    """Limit the total time that this thread waits from now on."""
    _budget.left = seconds


def end(_error: BaseException | None = None) -> None:
    """Remove the total limit of this thread; each wait keeps its own."""
    _budget.left = None


def wait(connection: psycopg2.extensions.connection) -> None:
    """Wait until the current operation on the connection has completed.

    This is psycopg2's wait callback. Raises OperationalError when the time is up.
    """
    state = connection.poll()
    began = monotonic()
    limit = _limit(connection)
    try:
        while state != POLL_OK:
            left = None if limit is None else limit - (monotonic() - began)
            if not _is_ready(connection.fileno(), EVENTS[state], left):
                _raise_timeout(connection, limit)
            state = connection.poll()
    finally:
        if _budget.left is not None:
            _budget.left -= monotonic() - began


def _limit(connection: psycopg2.extensions.connection) -> float | None:
    """Return the number of seconds that this wait may take."""
    own = connection.limit if isinstance(connection, LimitedConnection) else None
    if own is None or _budget.left is None:
        return own
    return max(CLEANUP_WAIT, min(own, _budget.left))


def _is_ready(socket: int, events: int, seconds: float | None) -> bool:
    """Return whether the socket becomes readable or writable within this time."""
    poller = select.poll()
    poller.register(socket, events)
    return bool(poller.poll(None if seconds is None else max(0.0, seconds) * 1000))


def _raise_timeout(connection: LimitedConnection, limit: float | None) -> NoReturn:
    # A request with a short budget left proves nothing about the server.
    if limit == connection.limit:
        _open_until[connection.address] = monotonic() + COOLDOWN
    raise OperationalError("PostgreSQL has timed out")
