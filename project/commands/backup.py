"""Commands that back an SQLite database up and restore it, while it is in use."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

from alembic.script import ScriptDirectory
from alembic.util import CommandError

from project.commands.console import CommandFailed, Yes, confirm, database_name
from project.commands.database import warn_of_pending_migrations
from project.database.base import Base
from project.extensions import MIGRATIONS, db

LAST_NUMBER = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
HAS_FINGERPRINT = "PRAGMA table_info(secret_fingerprint)"
OUR_TABLES = {"alembic_version", *Base.metadata.tables}

LEEWAY = 1000
"""Numbers left out after a restore, for rows that are written while it goes on."""


def backup(file: Annotated[str, "The new file; it must not exist."]) -> None:
    """Copy the SQLite database into a new file, while it is in use."""
    database = _database("pg_dump")
    copy = Path(file).absolute()
    with _reported(copy), ExitStack() as unfinished:
        copy.touch(mode=0o600, exist_ok=False)
        unfinished.callback(copy.unlink)
        with _opened(database, "rw") as source, _opened(copy, "rw") as target:
            source.backup(target)
            # What is opened for reading alone can then do without a file beside it.
            target.execute("PRAGMA journal_mode = DELETE")
            revision = _checked(target)
        unfinished.pop_all()
    print(f"Backed up {database_name()} to {copy}, at revision {revision}.")


def restore(file: Annotated[str, "The backup."], yes: Yes = False) -> None:
    """Replace the content of the SQLite database by that of a backup."""
    database = _database("pg_restore")
    copy = Path(file).absolute()
    confirm(f"restore replaces all data of {database_name()}.", yes, in_development=True)
    with _reported(copy), _opened(copy, "ro") as source, closing(sqlite3.connect("")) as staged:
        revision = _checked(source)
        _reject_foreign_objects(source)
        source.backup(staged)
        database.touch(mode=0o600)
        with _opened(database, "rw") as target:
            _count_on(staged, target)
            _keep_fingerprint(staged, target)
            staged.backup(target)
    print(f"Restored {database_name()} from {copy}, at revision {revision}.")
    warn_of_pending_migrations()


def _database(instead: str) -> Path:
    """Return the SQLite database's file; raises CommandFailed where it is on a server."""
    url = db.engine.url
    if url.get_backend_name() != "sqlite":
        raise CommandFailed(
            f"{database_name()} is on PostgreSQL, which has its own command: use {instead}, "
            "as docs/operating.md shows."
        )
    return Path(url.database or "")


@contextmanager
def _opened(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open a database that is there: SQLite would else make one."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True)) as connection:
        yield connection


@contextmanager
def _reported(file: Path) -> Iterator[None]:
    """Report in one line why a file could not be written or read."""
    try:
        yield
    except FileExistsError:
        raise CommandFailed(f"{file} exists: refusing to overwrite it.") from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written ({error.strerror}).") from None
    except sqlite3.Error as error:
        raise CommandFailed(f"{file}: failed ({error}).") from None


def _checked(connection: sqlite3.Connection) -> str:
    """Return the revision of a database that is whole and ours; else raises CommandFailed."""
    found = [fault for (fault,) in connection.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise CommandFailed(f"the database is damaged: {found[0]}.")
    if not connection.execute("PRAGMA table_info(alembic_version)").fetchall():
        raise CommandFailed("this is not a database of this service: it has no alembic_version.")
    (revision,) = connection.execute("SELECT max(version_num) FROM alembic_version").fetchone()
    try:
        ScriptDirectory(str(MIGRATIONS)).get_revision(revision or "none")
    except CommandError:
        raise CommandFailed(
            f"this version of the service does not know the database's revision {revision}."
        ) from None
    return str(revision)


def _reject_foreign_objects(connection: sqlite3.Connection) -> None:
    """Raise CommandFailed where there is more than the service's tables and their indexes.

    A trigger would act on every later change, and a view can stand in for a table.
    """
    for kind, name, table in connection.execute("SELECT type, name, tbl_name FROM sqlite_schema"):
        is_ours = table in OUR_TABLES or name.startswith("sqlite_")
        if kind not in ("table", "index") or not is_ours:
            raise CommandFailed(f"the database holds the {kind} {name!a}, which is not ours.")


def _keep_fingerprint(staged: sqlite3.Connection, current: sqlite3.Connection) -> None:
    """Keep the record of the servers' secret: the backup may be from before a rotation."""
    if not all(one.execute(HAS_FINGERPRINT).fetchall() for one in (staged, current)):
        return
    row = current.execute("SELECT id, salt, fingerprint FROM secret_fingerprint").fetchone()
    if row:
        staged.execute("DELETE FROM secret_fingerprint")
        staged.execute("INSERT INTO secret_fingerprint VALUES (?, ?, ?)", row)
        staged.commit()


def _count_on(staged: sqlite3.Connection, current: sqlite3.Connection) -> None:
    """Have the restored tables number their rows behind those that there are now.

    Else the feed would give new endings numbers that its readers have passed already, and an
    account the id of one that was made since the backup.
    """
    if not current.execute("PRAGMA table_info(sqlite_sequence)").fetchall():
        return
    for name, last in current.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
        (restored,) = staged.execute(LAST_NUMBER, (name,)).fetchone()
        staged.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        numbered = max(last + LEEWAY, restored)
        staged.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, numbered))
    staged.commit()
