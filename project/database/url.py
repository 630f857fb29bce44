"""Reading a database's URL: what it may be, and which driver it means here."""

import re
from pathlib import Path

from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
UP_TO_HOST = re.compile(r"^[^:]+://(?:[^:/]*(?::[^@]*)?@)?")
"""What stands before the host, with user and password as SQLAlchemy finds them."""
FORM = "give postgresql://user:password@host:5432/name"


def database_url(value: str) -> URL:
    """Read a database's URL and name the driver that is installed for it.

    `postgres://` and `postgresql://` both mean psycopg2 here. Raises ValueError, whose message
    never holds the value: it may hold a password.
    """
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(f"is not a URL; {FORM}") from None
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    if url.drivername == "sqlite":
        return _sqlite(url)
    if url.drivername == "postgresql+psycopg2":
        # Else a part of the password would be taken for the host, the database or an option.
        if "@" in UP_TO_HOST.sub("", value, count=1):
            raise ValueError("has an @ that is not written as %40, in the password or behind it")
        return _postgresql(url)
    raise ValueError("must start with postgresql:// or sqlite:///")


def _sqlite(url: URL) -> URL:
    path = url.database
    if not path or path.startswith((":memory:", "file:")) or "\0" in path:
        raise ValueError("names no file; give sqlite:////folder/users.sqlite")
    if url.host or url.query:
        raise ValueError("has more than a path; give sqlite:////folder/users.sqlite")
    # Each extension would look for a relative path in a folder of its own.
    return url.set(database=str(Path(path).absolute()))


def _postgresql(url: URL) -> URL:
    if not url.database:
        raise ValueError(f"names no database; {FORM}")
    try:
        _, options = url.get_dialect()().create_connect_args(url)
        make_dsn(**options)
    except (ArgumentError, ProgrammingError):
        raise ValueError(f"has an option that PostgreSQL does not know; {FORM}") from None
    if any("\0" in str(option) for option in options.values()):
        raise ValueError("contains a NUL")
    return url
