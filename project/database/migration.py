"""The connection for migrations: one process at a time, without time limits."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import URL, Connection, NullPool, create_engine, text

from project.database.timeouts import Timeouts

LOCK = 7_305_837_172
"""The key of PostgreSQL's advisory lock: an arbitrary number, unused by others in the database."""


@contextmanager
def connect(app: Flask) -> Iterator[Connection]:
    """Yield a connection to the app's database, under a lock against other migrations.

    Statements have no time-out: the duration of a migration depends on the number of rows.
    """
    url: URL = app.config["SQLALCHEMY_DATABASE_URI"]
    timeouts = Timeouts(app.config["DATABASE_CONNECT_TIMEOUT"], statement=None)
    engine = create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args=timeouts.connect_args(url)
    )
    with _lock_folder(url), engine.connect() as opened:
        if opened.dialect.name == "postgresql":
            # Released with the transaction; a session lock would stay behind in a pooler.
            opened.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        yield opened
        opened.commit()


@contextmanager
def _lock_folder(url: URL) -> Iterator[None]:
    """Lock the folder of an SQLite file, which leaves no lock file behind.

    SQLite's own lock lasts for a transaction, and Python's driver begins none for statements that
    change the schema.
    """
    folder = Path(url.database or "").parent
    if url.get_backend_name() != "sqlite" or not folder.is_dir():
        yield  # without a folder SQLite reports that it cannot open the file
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
