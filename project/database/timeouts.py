"""Database time-outs from the settings, as arguments of the driver and options of the server."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import URL

from project.database.deadline import LimitedConnection, Limits

SQLITE_LOCK_TIMEOUT = 1.5
"""Seconds to wait for another connection's write lock on an SQLite file."""

MARGIN = timedelta(seconds=0.5)
"""Time by which a request's limit exceeds the statement time-out: PostgreSQL's own cancellation
should come first, since it keeps the connection."""

MAX_TIMEOUT = timedelta(hours=1)
"""Upper bound of each time-out: PostgreSQL and poll() count milliseconds in 32 bits."""

KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""TCP keepalives, which detect a lost idle connection: seconds, seconds and probes (libpq)."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits for connecting and for a statement; None means no limit."""

    connect: timedelta
    statement: timedelta | None

    @property
    def request(self) -> timedelta | None:
        """The total time that a request may wait for the database."""
        return None if self.statement is None else self.statement + MARGIN

    def connect_args(self, url: URL) -> dict[str, Any]:
        """Return the driver's arguments for connecting to this URL."""
        if url.get_backend_name() == "sqlite":
            return {"timeout": SQLITE_LOCK_TIMEOUT if self.statement else 60.0}
        limits = Limits(self.connect.total_seconds(), _seconds(self.request))
        parameters = {
            **KEEPALIVES,
            "tcp_user_timeout": int((_seconds(self.request) or 0) * 1000),
        }
        return {
            "connection_factory": partial(LimitedConnection, limits),
            "options": self._options(url),
            **{name: value for name, value in parameters.items() if name not in url.query},
        }

    def _options(self, url: URL) -> str:
        """Return the server's options; the URL's own take precedence, except in a migration."""
        own = _join(url.query.get("options", ""))
        parts = (self._server_options(), own)
        return " ".join(reversed(parts) if self.statement is None else parts).strip()

    def _server_options(self) -> str:
        """Return PostgreSQL's own time-outs in milliseconds; 0 means none.

        They include one for idle transactions, which hold locks.
        """
        milliseconds = int((_seconds(self.statement) or 0) * 1000)
        values = {
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": 2 * milliseconds,
        }
        return " ".join(f"-c {name}={value}" for name, value in values.items())


def from_config(config: Mapping[str, Any]) -> Timeouts:
    """Return the time-outs that the settings define."""
    settings = (config["DATABASE_CONNECT_TIMEOUT"], config["DATABASE_STATEMENT_TIMEOUT"])
    return Timeouts(*(min(setting, MAX_TIMEOUT) for setting in settings))


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _join(option: str | tuple[str, ...]) -> str:
    return option if isinstance(option, str) else " ".join(option)
