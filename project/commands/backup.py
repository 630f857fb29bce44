"""Commands that back up and restore an SQLite database while the service runs."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

from alembic.script import ScriptDirectory
from alembic.util import CommandError

from project.clock import utcnow
from project.commands.console import CommandFailed, Yes, confirm, database_name
from project.commands.database import warn_of_pending_migrations
from project.database.base import Base
from project.extensions import MIGRATIONS, db

LAST_ID = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
HAS_FINGERPRINT = "PRAGMA table_info(secret_fingerprint)"
HAS_OUTBOX = "PRAGMA table_info(outbox)"
CANCELLING = """
UPDATE outbox SET done_at = ?, outcome = 'cancelled', reason = 'by restore', recipient = NULL,
lease = NULL WHERE done_at IS NULL
"""
SERVICE_TABLES = {"alembic_version", *Base.metadata.tables}

SKIPPED_IDS = 1000
"""Ids skipped after a restore, for rows that are written while the restore runs."""


def backup(file: Annotated[str, "The new file; it must not exist."]) -> None:
    """Copy the SQLite database to a new file, while the service runs."""
    database = _sqlite_file("pg_dump")
    copy = Path(file).absolute()
    with _reporting_errors(copy), ExitStack() as cleanup:
        copy.touch(mode=0o600, exist_ok=False)
        cleanup.callback(copy.unlink)
        with _opened(database, "rw") as source, _opened(copy, "rw") as target:
            source.backup(target)
            # Without write-ahead logging the backup is one file, also when it is opened to read.
            target.execute("PRAGMA journal_mode = DELETE")
            revision = _check_database(target)
        cleanup.pop_all()
    print(f"Backed up {database_name()} to {copy}, at revision {revision}.")


def restore(
    file: Annotated[str, "The backup file."],
    yes: Yes = False,
    keep_mail: Annotated[bool, "Send the mail that was waiting when the backup was made."] = False,
) -> None:
    """Replace all data of the SQLite database with a backup, while the service runs."""
    database = _sqlite_file("pg_restore")
    copy = Path(file).absolute()
    confirm(f"restore replaces all data of {database_name()}.", yes, in_development=True)
    with (
        _reporting_errors(copy),
        _opened(copy, "ro") as source,
        closing(sqlite3.connect("")) as staged,
    ):
        revision = _check_database(source)
        _reject_foreign_objects(source)
        source.backup(staged)
        database.touch(mode=0o600)
        with _opened(database, "rw") as target:
            _continue_ids(staged, target)
            _keep_fingerprint(staged, target)
            if not keep_mail:
                _cancel_messages(staged)
            staged.backup(target)
    print(f"Restored {database_name()} from {copy}, at revision {revision}.")
    warn_of_pending_migrations()


def _sqlite_file(alternative: str) -> Path:
    """Return the file of the SQLite database. Raises CommandFailed for PostgreSQL."""
    url = db.engine.url
    if url.get_backend_name() != "sqlite":
        raise CommandFailed(
            f"{database_name()} is a PostgreSQL database: use {alternative}, as described in "
            "docs/operating.md."
        )
    return Path(url.database or "")


@contextmanager
def _opened(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open an existing database. By default SQLite would create a missing one."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True)) as connection:
        yield connection


@contextmanager
def _reporting_errors(file: Path) -> Iterator[None]:
    """Raise CommandFailed where a file cannot be read or written."""
    try:
        yield
    except FileExistsError:
        raise CommandFailed(f"{file} exists: refusing to overwrite it.") from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written ({error.strerror}).") from None
    except sqlite3.Error as error:
        raise CommandFailed(f"{file}: failed ({error}).") from None


def _check_database(connection: sqlite3.Connection) -> str:
    """Return the revision of the schema.

    Raises CommandFailed where the database is damaged or is not one of this service.
    """
    results = [result for (result,) in connection.execute("PRAGMA integrity_check")]
    if results != ["ok"]:
        raise CommandFailed(f"the database is damaged: {results[0]}.")
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
    """Raise CommandFailed where the database holds more than the service's tables and indexes.

    A trigger would run at every later change, and a view could replace a table.
    """
    for kind, name, table in connection.execute("SELECT type, name, tbl_name FROM sqlite_schema"):
        is_known = table in SERVICE_TABLES or name.startswith("sqlite_")
        if kind not in ("table", "index") or not is_known:
            raise CommandFailed(
                f"the database holds the {kind} {name!a}, which is not part of this service."
            )


def _keep_fingerprint(staged: sqlite3.Connection, current: sqlite3.Connection) -> None:
    """Keep the fingerprint of the current secret: the backup may hold that of a previous one."""
    if not all(one.execute(HAS_FINGERPRINT).fetchall() for one in (staged, current)):
        return
    row = current.execute("SELECT id, salt, fingerprint FROM secret_fingerprint").fetchone()
    if row:
        staged.execute("DELETE FROM secret_fingerprint")
        staged.execute("INSERT INTO secret_fingerprint VALUES (?, ?, ?)", row)
        staged.commit()


def _cancel_messages(staged: sqlite3.Connection) -> None:
    """Cancel the messages that were waiting: most have been sent since the backup."""
    if staged.execute(HAS_OUTBOX).fetchall():
        staged.execute(CANCELLING, (f"{utcnow():%Y-%m-%d %H:%M:%S.%f}",))
        staged.commit()


def _continue_ids(staged: sqlite3.Connection, current: sqlite3.Connection) -> None:
    """Make the ids of new rows continue after those of the replaced database.

    Otherwise the feed would reuse ids that its readers have already passed, and a new account
    could get the id of one that was created after the backup.
    """
    if not current.execute("PRAGMA table_info(sqlite_sequence)").fetchall():
        return
    for name, last in current.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
        (restored,) = staged.execute(LAST_ID, (name,)).fetchone()
        staged.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        last_id = max(last + SKIPPED_IDS, restored)
        staged.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, last_id))
    staged.commit()
