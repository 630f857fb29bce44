"""How a connection is made, and how many."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Dialect, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from project.database import timeouts
from project.limits import MAX_CONCURRENT_REQUESTS

POOL = {"pool_size": 5, "max_overflow": MAX_CONCURRENT_REQUESTS - 5}
"""Together as many connections as requests are worked at: none waits for another's."""


@event.listens_for(Engine, "do_connect")
def make_private_file(
    dialect: Dialect, _entry: Any, arguments: Sequence[Any], _keywords: Any
) -> None:
    """Create an SQLite database's file for its owner alone, before SQLite does it for everybody.

    SQLite gives the files beside it the same mode. A file that is there is not opened: closing it
    would release the locks that this process holds on it.
    """
    file = Path(arguments[0]) if dialect.name == "sqlite" and arguments else None
    if file is not None and file.is_absolute():
        with suppress(OSError):  # which SQLite reports
            file.touch(mode=0o600, exist_ok=False)


@event.listens_for(Engine, "connect")
def prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Turn on what SQLite leaves off: foreign keys, and reading while another writes (WAL)."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")


def engine_options(url: URL, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords for `create_engine` that both engines on this URL share."""
    return {
        **POOL,
        "pool_timeout": config["DATABASE_POOL_TIMEOUT"].total_seconds(),
        # Parameters hold hashes and addresses: no error message may carry them into a log.
        "hide_parameters": True,
        "connect_args": timeouts.of(config).connect_args(url),
    }
