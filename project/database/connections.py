"""Options of the engines, and the set-up of a new connection."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Dialect, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from project.database import timeouts
from project.limits import MAX_CONCURRENT_REQUESTS

POOL_OPTIONS = {"pool_size": 5, "max_overflow": MAX_CONCURRENT_REQUESTS - 5}
"""As many connections as concurrent requests: no request waits for another's connection."""


@event.listens_for(Engine, "do_connect")
def create_private_file(
    dialect: Dialect, _entry: Any, arguments: Sequence[Any], _keywords: Any
) -> None:
    """Create the file of an SQLite database with mode 0600, before SQLite creates a readable one.

    SQLite copies the mode to its WAL and journal. An existing file is not opened: closing it would
    release the locks that this process holds on it.
    """
    file = Path(arguments[0]) if dialect.name == "sqlite" and arguments else None
    if file is not None and file.is_absolute():
        with suppress(OSError):  # SQLite reports the same error
            file.touch(mode=0o600, exist_ok=False)


@event.listens_for(Engine, "connect")
def configure_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Enable foreign keys and write-ahead logging on an SQLite connection."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")


def build_engine_options(url: URL, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of `create_engine` that both engines share."""
    return {
        **POOL_OPTIONS,
        "pool_timeout": config["DATABASE_POOL_TIMEOUT"].total_seconds(),
        # Parameters hold hashes and addresses, which must not reach a log in an error message.
        "hide_parameters": True,
        "connect_args": timeouts.from_config(config).connect_args(url),
    }
