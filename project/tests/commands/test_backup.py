"""Backup and restore of an SQLite database that is in use."""

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from unittest import TestCase

import pytest
from flask import Flask

from project.accounts import outbox, sessions
from project.accounts.actors import COMMAND
from project.clock import utcnow
from project.commands import backup
from project.extensions import db, transaction
from project.models import Outbox, Revocation
from project.serving import shared_secret
from project.tests import utils
from project.tests.support import databases, servers
from project.tests.support.commands import PRODUCTION, manage, manage_in_child

WRITER = """
import itertools, sqlite3, sys, time

connection = sqlite3.connect(sys.argv[1], timeout=10)
for number in itertools.count(1):
    connection.execute("UPDATE users SET username = ? WHERE id = 1", (str(number),))
    connection.execute("UPDATE users SET username = ? WHERE id = 2", (str(number),))
    connection.commit()
    if number == 1:
        print("writing", flush=True)
    time.sleep(0.001)  # SQLite's lock is not fair: without pauses another process rarely gets it
"""


def content(file: Path) -> list[str]:
    """Return everything in a database, but how far its tables have counted."""
    with closing(sqlite3.connect(file)) as connection:
        return [line for line in connection.iterdump() if "sqlite_sequence" not in line]


@contextmanager
def writer(file: Path) -> Iterator[None]:
    """Write in another process until the block ends: in each transaction one name into all rows."""
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            yield
            assert process.poll() is None, "the writer has failed"
        finally:
            process.terminate()


@pytest.mark.any_database
class TestBackup(TestCase):
    """The commands, with their exit codes and output."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file, self.app = self.new_database("users.sqlite")
        self.copy = self.folder / "copy.sqlite"
        with self.app.app_context():
            utils.add_user()
            utils.add_user("ada", "ada@example.com")

    def new_database(self, name: str) -> tuple[Path, Flask]:
        """Return a new database with its schema, and an app on it."""
        file = self.folder / name
        return file, databases.new_app(f"sqlite:///{file}")

    def manage(self, *arguments: str, to: Path | None = None) -> str:
        """Run a command that succeeds; return its output."""
        environment = servers.environment(f"sqlite:///{to or self.file}")
        done = manage(*arguments, environment=environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def manage_failing(self, *arguments: str, **settings: str) -> str:
        """Run a command that fails; return its one line of error."""
        environment = servers.environment(f"sqlite:///{self.file}", **settings)
        done = manage(*arguments, environment=environment)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        (line,) = done.stderr.splitlines()
        return line

    def names(self, file: Path) -> list[str]:
        """Return the usernames in a database."""
        with closing(sqlite3.connect(file)) as connection:
            return [name for (name,) in connection.execute("SELECT username FROM users")]

    @pytest.mark.processes
    def test_a_backup_beside_a_writer_is_of_one_moment_and_restores_to_the_same(self) -> None:
        other, app = self.new_database("other.sqlite")
        with app.app_context():
            utils.add_user("gone", "gone@example.com")
        with writer(self.file):
            self.assertIn("Backed up", self.manage("backup", str(self.copy)))
        first, second = self.names(self.copy)
        self.assertEqual(first, second)
        self.assertRegex(first, r"^\d+$")
        self.assertIn("Restored", self.manage("restore", str(self.copy), to=other))
        self.assertEqual(content(other), content(self.copy))

    @pytest.mark.processes
    def test_a_restore_beside_a_writer_and_an_app_is_seen_by_both(self) -> None:
        self.manage("backup", str(self.copy))
        with writer(self.file), self.app.app_context():
            db.session.execute(db.text("SELECT 1"))
            environment = servers.environment(f"sqlite:///{self.file}")
            done = manage_in_child("restore", str(self.copy), environment=environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with self.app.app_context():
            utils.add_user("grace", "grace@example.com")
        self.assertEqual(len(self.names(self.file)), 3)

    def test_a_backup_is_its_owners_alone_and_one_file(self) -> None:
        self.manage("backup", str(self.copy))
        self.assertEqual(self.copy.stat().st_mode & 0o777, 0o600)
        self.assertEqual(list(self.folder.glob("copy.sqlite?*")), [])

    def test_no_file_is_written_over(self) -> None:
        self.copy.write_text("precious")
        self.assertRegex(self.manage_failing("backup", str(self.copy)), "^error: .* exists")
        self.assertEqual(self.copy.read_text(), "precious")

    def test_a_backup_that_did_not_succeed_leaves_no_file(self) -> None:
        other = self.folder / "other.sqlite"
        other.write_bytes(b"no database" * 1000)
        line = self.manage_failing("backup", str(self.copy), DATABASE_TEST_URL=f"sqlite:///{other}")
        self.assertRegex(line, "^error: .*not a database")
        self.assertFalse(self.copy.exists())
        line = self.manage_failing("backup", str(self.folder / "nowhere" / "copy"))
        self.assertRegex(line, "cannot be written .No such file")

    def test_a_restore_takes_nothing_but_a_whole_database_of_ours(self) -> None:
        before = content(self.file)
        for damage, why in (
            ("DROP TABLE alembic_version", "not a database of this service"),
            ("CREATE TRIGGER t AFTER INSERT ON users BEGIN UPDATE users SET admin = 1; END", "t"),
            ("CREATE VIEW v AS SELECT * FROM users", "the view 'v', which is not part of this"),
            ("CREATE TABLE more (id INTEGER)", "the table 'more'"),
            ("DELETE FROM alembic_version", "does not know"),
            ("UPDATE alembic_version SET version_num = '9999'", "does not know .* 9999"),
        ):
            self.manage("backup", str(self.copy))
            with closing(sqlite3.connect(self.copy)) as connection:
                connection.execute(damage)
                connection.commit()
            self.assertRegex(self.manage_failing("restore", str(self.copy)), f"^error: .*{why}")
            self.copy.unlink()
        self.assertEqual(content(self.file), before)

    def test_a_restore_refuses_what_is_damaged_or_missing(self) -> None:
        before = content(self.file)
        self.assertRegex(self.manage_failing("restore", str(self.copy)), "unable to open")
        self.assertFalse(self.copy.exists())
        self.manage("backup", str(self.copy))
        whole = self.copy.read_bytes()
        self.copy.write_bytes(whole[:8192] + b"\x55" * 8192 + whole[16384:])
        self.assertRegex(self.manage_failing("restore", str(self.copy)), "damaged|malformed")
        self.assertEqual(content(self.file), before)

    def test_after_an_older_backup_the_migrations_are_asked_for(self) -> None:
        self.manage("backup", str(self.copy))
        with closing(sqlite3.connect(self.copy)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0005'")
            connection.commit()
        environment = servers.environment(f"sqlite:///{self.file}")
        done = manage("restore", str(self.copy), environment=environment)
        self.assertIn("at revision 0005.", done.stdout)
        self.assertIn("run: python manage.py db upgrade", done.stderr)

    def test_production_requires_yes(self) -> None:
        self.manage("backup", str(self.copy))
        production = PRODUCTION | {"DATABASE_URL": f"sqlite:///{self.file}"}
        line = self.manage_failing("restore", str(self.copy), **production)
        self.assertRegex(line, "^error: restore .* --yes")

    def test_a_reader_of_the_feed_misses_nothing_after_a_restore(self) -> None:
        self.manage("backup", str(self.copy))
        passed = self.end_a_session()
        self.manage("restore", str(self.copy))
        self.assertGreater(self.end_a_session(), passed)

    def test_a_restore_keeps_which_secret_the_servers_share(self) -> None:
        with self.app.app_context():
            shared_secret.adopt()
            before = shared_secret.recorded()
            backup.backup(str(self.copy))
            db.session.execute(db.text("UPDATE secret_fingerprint SET fingerprint = 'next'"))
            db.session.commit()
            backup.restore(str(self.copy), yes=True)
            self.assertEqual(shared_secret.recorded(), (before[0], "next"))

    def test_a_restore_sends_no_mail_unless_it_is_kept(self) -> None:
        with self.app.app_context():
            with transaction():
                outbox.queue(
                    "mail.password_changed", recipient="ada@example.com", language="en",
                    payload={}, expires_at=utcnow(),
                )  # fmt: skip
            backup.backup(str(self.copy))
            backup.restore(str(self.copy), yes=True)
            cancelled = db.session.scalars(db.select(Outbox)).one()
            self.assertEqual((cancelled.outcome, cancelled.recipient), ("cancelled", None))
            self.assertLess(abs(utcnow() - cancelled.done_at), timedelta(minutes=1))
            db.session.rollback()
            backup.restore(str(self.copy), yes=True, keep_mail=True)
            self.assertEqual(outbox.pending(), {"mail.password_changed": 1})

    def end_a_session(self) -> int:
        """Open a session and end it; return its number in the feed."""
        with self.app.app_context():
            utils.add_token(1)
            sessions.end_all(1, COMMAND)
            number: int = db.session.scalars(db.select(db.func.max(Revocation.id))).one()
        return number

    def test_on_postgresql_both_name_its_own_commands(self) -> None:
        for command, instead in (("backup", "pg_dump"), ("restore", "pg_restore")):
            line = self.manage_failing(
                command, str(self.copy), DATABASE_TEST_URL="postgresql://u:hunter2@127.0.0.1:1/x"
            )
            self.assertRegex(line, f"^error: .*{instead}.*docs/operating.md")
            self.assertNotIn("hunter2", line)
