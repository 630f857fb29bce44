"""The connection by which the schema is migrated: by one process at a time, and without haste."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import URL, Connection, NullPool, create_engine, text

from project.database.timeouts import Timeouts

LOCK = 7_305_837_172
"""The key of PostgreSQL's advisory lock; any number that nobody else of the database uses."""


@contextmanager
def connection(app: Flask) -> Iterator[Connection]:
    """Yield a connection to the app's database when nobody else migrates it.

    No statement on it is cut off: a migration takes as long as there are rows.
    """
    url: URL = app.config["SQLALCHEMY_DATABASE_URI"]
    patient = Timeouts(app.config["DATABASE_CONNECT_TIMEOUT"], statement=None)
    engine = create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args=patient.connect_args(url)
    )
    with _folder_locked(url), engine.connect() as opened:
        if opened.dialect.name == "postgresql":
            # Goes with the transaction, so that a pooler between has no part in it.
            opened.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        yield opened
        opened.commit()


@contextmanager
def _folder_locked(url: URL) -> Iterator[None]:
    """Lock the folder of an SQLite file: a lock that leaves no file behind.

    SQLite's own would not do. It is for a transaction, and Python's driver begins none for what
    changes the schema.
    """
    folder = Path(url.database or "").parent
    if url.get_backend_name() != "sqlite" or not folder.is_dir():
        yield  # without its folder no file can be opened, which SQLite will say
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
