"""How a connection is made, and how many."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from project.database import timeouts
from project.serving.limits import PLACES

POOL = {"pool_size": 5, "max_overflow": PLACES - 5}
"""Together as many connections as requests are worked at: none waits for another's."""


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
