"""Parsing of database URLs."""

import re
from pathlib import Path

from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
UP_TO_HOST = re.compile(r"^[^:]+://(?:[^:/]*(?::[^@]*)?@)?")
"""The part before the host, with user and password as SQLAlchemy parses them."""
EXPECTED = "give postgresql://user:password@host:5432/name"


def database_url(value: str) -> URL:
    """Parse a database URL and set the installed driver.

    `postgres://` and `postgresql://` both select psycopg2. Raises ValueError. The message does not
    contain the value, which may hold a password.
    """
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(f"is not a URL; {EXPECTED}") from None
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    if url.drivername == "sqlite":
        return _check_sqlite(url)
    if url.drivername == "postgresql+psycopg2":
        # Otherwise part of the password would be parsed as the host, the database or an option.
        if "@" in UP_TO_HOST.sub("", value, count=1):
            raise ValueError("has an @ in the password, or after it, that is not written as %40")
        return _check_postgresql(url)
    raise ValueError("must start with postgresql:// or sqlite:///")


def _check_sqlite(url: URL) -> URL:
    path = url.database
    if not path or path.startswith((":memory:", "file:")) or "\0" in path:
        raise ValueError("names no file; give sqlite:////folder/users.sqlite")
    if url.host or url.query:
        raise ValueError("has more than a path; give sqlite:////folder/users.sqlite")
    # Each extension resolves a relative path against a different folder.
    return url.set(database=str(Path(path).absolute()))


def _check_postgresql(url: URL) -> URL:
    if not url.database:
        raise ValueError(f"names no database; {EXPECTED}")
    try:
        _, options = url.get_dialect()().create_connect_args(url)
        make_dsn(**options)
    except (ArgumentError, ProgrammingError):
        raise ValueError(f"has an option that PostgreSQL does not know; {EXPECTED}") from None
    if any("\0" in str(option) for option in options.values()):
        raise ValueError("contains a NUL")
    return url
