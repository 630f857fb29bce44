"""What ends a wait for the database: the settings' time-outs, as drivers and servers take them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import URL

from project.database.deadline import LimitedConnection, Limits

SQLITE_LOCK_TIMEOUT = 1.5
"""Seconds that a writer waits for another writer's lock on an SQLite file."""

MARGIN = timedelta(seconds=0.5)
"""How much longer a request waits than a statement may take: what PostgreSQL cancels by itself
costs no connection."""

LONGEST = timedelta(hours=1)
"""The longest that is passed on: PostgreSQL and poll() count milliseconds in 32 bits."""

KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""Finds an idle connection dead before a request does: seconds, seconds, and probes (libpq)."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for a connection and for a statement; None is without end."""

    connect: timedelta
    statement: timedelta | None

    @property
    def request(self) -> timedelta | None:
        """How long a request waits for the database in all."""
        return None if self.statement is None else self.statement + MARGIN

    def connect_args(self, url: URL) -> dict[str, Any]:
        """Return what the driver of this URL is to be told when it connects."""
        if url.get_backend_name() == "sqlite":
            return {"timeout": SQLITE_LOCK_TIMEOUT if self.statement else 60.0}
        limits = Limits(self.connect.total_seconds(), _seconds(self.request))
        told = {
            **KEEPALIVES,
            "tcp_user_timeout": int((_seconds(self.request) or 0) * 1000),
        }
        return {
            "connection_factory": partial(LimitedConnection, limits),
            "options": self._options(url),
            **{name: value for name, value in told.items() if name not in url.query},
        }

    def _options(self, url: URL) -> str:
        """Return the server's options; the URL's own have the last word, save for a migration."""
        own = _text(url.query.get("options", ""))
        parts = (self._server_options(), own)
        return " ".join(reversed(parts) if self.statement is None else parts).strip()

    def _server_options(self) -> str:
        """Return the time-outs of PostgreSQL itself, in milliseconds; 0 is none.

        A transaction that its client has left half done holds locks: it ends too.
        """
        milliseconds = int((_seconds(self.statement) or 0) * 1000)
        values = {
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": 2 * milliseconds,
        }
        return " ".join(f"-c {name}={value}" for name, value in values.items())


def of(config: Mapping[str, Any]) -> Timeouts:
    """Return the time-outs of the settings."""
    settings = (config["DATABASE_CONNECT_TIMEOUT"], config["DATABASE_STATEMENT_TIMEOUT"])
    return Timeouts(*(min(setting, LONGEST) for setting in settings))


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _text(option: str | tuple[str, ...]) -> str:
    return option if isinstance(option, str) else " ".join(option)
