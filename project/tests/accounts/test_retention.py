"""A purge deletes expired rows and nothing else."""

import os
import pty
import re
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
import time_machine
from flask import Flask
from sqlalchemy import insert, inspect, select, text, update
from sqlalchemy.exc import OperationalError

from project.accounts import lifecycle, retention, sessions, signing_keys
from project.accounts.actors import COMMAND
from project.accounts.signing_keys import source
from project.clock import utcnow
from project.commands.console import database_name
from project.database.base import Base
from project.extensions import db
from project.models import AuditEvent, Revocation, Session, SigningKey, User
from project.settings.mail_parsers import NO_MAIL
from project.tests.base import BaseTestCase, empty_tables
from project.tests.support import databases, servers
from project.tests.support.commands import manage
from project.tests.support.paths import ROOT
from project.tests.utils import InProcess

DAY = timedelta(days=1)
MAX_TOKEN = timedelta(days=60)
"""The testing configuration's SESSION_IDLE_LIFETIME."""

FOUR = """
import os, sys
import manage

children = [os.fork() or manage.main() for _ in range(4)]
sys.exit(any(os.wait()[1] for _ in children))
"""
"""A program that runs a command in four processes at once."""


def new_row(user_id: int, expires_in: timedelta) -> dict[str, Any]:
    """Return the columns of a session that expires then."""
    opened_at = utcnow() - timedelta(days=400)
    return {
        "id": uuid4(),
        "user_id": user_id,
        "created_at": opened_at,
        "expires_at": utcnow() + expires_in,
        "generation": 0,
        "refreshed_at": opened_at,
        "last_seen_at": opened_at,
        "address": "127.0.0.1",
        "user_agent": "tests",
    }


def add_sessions(user_id: int, expires_in: timedelta, number: int = 1) -> list[UUID]:
    """Open sessions of a user of the current app; return their ids."""
    rows = [new_row(user_id, expires_in) for _ in range(number)]
    db.session.execute(insert(Session), rows)
    db.session.commit()
    return [row["id"] for row in rows]


def kept(table: type[Base]) -> int:
    """Return how many rows the current app's database has."""
    return db.session.query(table).count()


def running(process: subprocess.Popen[str]) -> bool:
    """Return whether a process still runs after a moment, so that it gets a core and the lock."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.01)
    return process.returncode is None


def purged() -> dict[str, int]:
    """Purge; return what has gone of each kind, without the kinds of which nothing has."""
    total: Counter[str] = Counter()
    for batch in retention.purge():
        total[batch.name] += batch.rows
    return {name: rows for name, rows in total.items() if rows}


@pytest.mark.slow
class TestPurge(BaseTestCase):
    """The rows that a purge deletes and keeps."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.app.app_context())
        self.user_id = self.add_user()

    def test_a_session_is_deleted_a_day_after_it_expired(self) -> None:
        add_sessions(self.user_id, -DAY - timedelta(minutes=1))
        stay = add_sessions(self.user_id, -DAY + timedelta(minutes=1))
        stay += add_sessions(self.user_id, DAY)
        self.assertEqual(purged(), {"expired sessions": 1})
        self.assertEqual(set(db.session.scalars(select(Session.id))), set(stay))
        self.assertEqual(purged(), {})

    def test_an_ended_session_is_kept_until_its_tokens_have_expired(self) -> None:
        (ended,) = add_sessions(self.user_id, timedelta(days=300))
        add_sessions(self.user_id, timedelta(days=300))
        sessions.end(self.user_id, ended, COMMAND)
        with time_machine.travel(utcnow() + MAX_TOKEN + timedelta(hours=23)):
            self.assertEqual(purged(), {})
        with time_machine.travel(utcnow() + MAX_TOKEN + timedelta(hours=25)):
            self.assertEqual(purged(), {"ended sessions": 1})
        self.assertEqual(kept(Session), 1)

    def test_a_revocation_is_kept_until_the_session_would_have_expired(self) -> None:
        (ended,) = add_sessions(self.user_id, timedelta(days=300))
        sessions.end(self.user_id, ended, COMMAND)
        with time_machine.travel(utcnow() + timedelta(days=300, hours=23)):
            self.assertEqual(purged(), {"ended sessions": 1})
            self.assertEqual(kept(Revocation), 1)
        with time_machine.travel(utcnow() + timedelta(days=301, hours=1)):
            self.assertEqual(purged(), {"revocations": 1})

    def test_a_purge_does_not_change_the_error_for_a_valid_token(self) -> None:
        token = self.add_token(self.user_id)
        lifecycle.deactivate("michael@example.com")
        purged()
        self.assertEqual(self.caller.status(token).body["code"], "user_inactive")

    def test_rows_with_the_same_time_are_deleted_in_several_batches(self) -> None:
        with time_machine.travel(utcnow(), tick=False):
            add_sessions(self.user_id, -2 * DAY, 5)
        add_sessions(self.user_id, DAY)
        with mock.patch.object(retention, "BATCH_SIZE", 2):
            due = retention.count_due_batches()
            batches = [batch.rows for batch in retention.purge()]
        self.assertEqual(batches[:3], [2, 2, 1])
        self.assertEqual(len(batches), due)
        self.assertEqual(kept(Session), 1)

    def test_a_locked_row_is_skipped(self) -> None:
        if databases.kind() == "sqlite":
            self.skipTest("SQLite locks no rows")
        held, _ = add_sessions(self.user_id, -2 * DAY, 2)
        with db.engine.begin() as connection:
            connection.execute(update(Session).where(Session.id == held).values(address="held"))
            # Else a purge that waits would wait for ever.
            db.session.execute(text("SET lock_timeout = 2000"))
            db.session.commit()
            self.assertEqual(purged(), {"expired sessions": 1})
        self.assertEqual(purged(), {"expired sessions": 1})

    def test_a_purge_retries_while_the_database_is_locked(self) -> None:
        if databases.kind() == "postgresql":
            self.skipTest("PostgreSQL passes over what is locked")
        add_sessions(self.user_id, -2 * DAY)
        with db.engine.connect() as connection, mock.patch.object(retention, "MAX_RETRIES", 1):
            connection.execute(update(User).values(admin=True))
            db.session.execute(text("PRAGMA busy_timeout = 100"))
            self.addCleanup(db.engine.dispose)
            db.session.rollback()
            with self.assertRaisesRegex(OperationalError, "locked"):
                purged()
            freed = mock.Mock(side_effect=connection.rollback)
            with mock.patch.object(db.session(), "rollback", freed):
                self.assertEqual(purged(), {"expired sessions": 1})

    def test_every_rule_has_an_index(self) -> None:
        for perishable in retention.RETENTION_RULES:
            indexes = inspect(db.engine).get_indexes(perishable.table.__tablename__)
            first = [index["column_names"][0] for index in indexes]
            self.assertIn(perishable.column.key, first, perishable.name)


class TestPurgeOfKeys(BaseTestCase):
    """Private keys, where key pairs sign."""

    def setUp(self) -> None:
        self.app = self.new_app()
        self.enterContext(self.app.app_context())
        empty_tables()
        self.caller = InProcess(self.app.test_client())
        self.add_user()
        self.caller.login()
        self.rotate()

    def new_app(self) -> Flask:
        """Return an app on the shared database, as a process that has just started has it."""
        url = databases.shared_app().config["DATABASE_TEST_URL"]
        return databases.bare_app(str(url), TOKEN_ALGORITHM="ES256", THROTTLE_ENABLED=False)

    def rotate(self) -> None:
        """Make a successor that signs at once."""
        source.current().signing_key()
        source.current().rotate(utcnow())

    def private_keys(self) -> list[bool]:
        """Return for each key, in order, whether it still has its private part."""
        parts = db.session.scalars(select(SigningKey.private_key).order_by(SigningKey.id))
        return [part != signing_keys.ERASED for part in parts]

    def test_a_private_key_is_erased_after_its_last_token_has_expired(self) -> None:
        self.assertEqual(purged(), {})
        with time_machine.travel(utcnow() + MAX_TOKEN + timedelta(hours=23)):
            self.assertEqual(purged(), {})
        with time_machine.travel(utcnow() + MAX_TOKEN + timedelta(hours=25)):
            self.assertEqual(purged(), {"private keys": 1})
            self.assertEqual(self.private_keys(), [False, True])
            self.assertEqual(purged(), {})

    def test_a_new_process_signs_without_a_warning_after_a_purge(self) -> None:
        with time_machine.travel(utcnow() + MAX_TOKEN + timedelta(hours=25)):
            purged()
            caller = InProcess(self.new_app().test_client())
            with self.assertNoLogs(level="WARNING"):
                token = caller.login().body["auth_token"]
            self.assertEqual(caller.status(token).status, 200)
        self.assertEqual(kept(SigningKey), 2)

    def test_a_retired_key_without_a_successor_can_be_erased_too(self) -> None:
        signing_keys.retire(signing_keys.list_unexpired()[-1].kid)
        with time_machine.travel(utcnow() + MAX_TOKEN + timedelta(hours=25)):
            self.assertEqual(purged(), {"private keys": 2})
            caller = InProcess(self.new_app().test_client())
            token = caller.login().body["auth_token"]
            self.assertEqual(caller.status(token).status, 200)
        self.assertEqual(self.private_keys(), [False, False, True])


class TestUnverifiedAccounts(BaseTestCase):
    """UNVERIFIED_LIFETIME."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.app.app_context())
        old = {"created_at": utcnow() - 8 * DAY}
        self.old = self.add_user("old", "old@example.com", **old)
        self.add_user("verified", "verified@example.com", email_verified_at=utcnow(), **old)
        self.add_user("admin", "admin@example.com", admin=True, **old)
        self.add_user("young", "young@example.com", created_at=utcnow() - 6 * DAY)

    def purged(self, **settings: object) -> dict[str, int]:
        """Purge under these settings."""
        with mock.patch.dict(self.app.config, {"UNVERIFIED_LIFETIME": 7 * DAY} | settings):
            return purged()

    def usernames(self) -> set[str]:
        """Return the usernames of all accounts."""
        return set(db.session.scalars(select(User.username)))

    def test_an_old_account_is_deleted_with_its_sessions(self) -> None:
        token = self.add_token(self.old)
        self.assertEqual(self.purged(), {"unverified accounts": 1})
        self.assertEqual(self.usernames(), {"verified", "admin", "young"})
        self.assertEqual(self.caller.status(token).status, 401)
        self.assertEqual((kept(Session), kept(Revocation)), (0, 1))
        event = db.session.scalars(select(AuditEvent)).one()
        self.assertEqual(
            (event.event, event.user_id, event.user_agent, event.details),
            ("user.deleted", self.old, "service", {"sessions_ended": 1}),
        )
        self.assertEqual(self.caller.register("owner", "old@example.com").status, 201)

    def test_old_accounts_are_deleted_in_several_batches(self) -> None:
        for number in range(4):
            name = f"user{number}"
            self.add_user(name, f"{name}@example.com", created_at=utcnow() - 9 * DAY)
        with mock.patch.object(retention, "BATCH_SIZE", 2):
            self.assertEqual(self.purged(), {"unverified accounts": 5})

    def test_an_account_that_is_verified_meanwhile_is_kept(self) -> None:
        def verify_meanwhile(*_: object) -> list[int]:
            self.set_user(self.old, email_verified_at=utcnow())
            listing.side_effect = None
            listing.return_value = []
            return [self.old]

        with mock.patch.object(
            lifecycle, "list_unverified", side_effect=verify_meanwhile
        ) as listing:
            self.assertEqual(self.purged(), {})
        self.assertIn("old", self.usernames())

    def test_nothing_is_deleted_by_default_or_without_verification(self) -> None:
        self.assertEqual(self.purged(UNVERIFIED_LIFETIME=None), {})
        self.assertEqual(self.purged(MAIL_URL=NO_MAIL), {})
        self.assertEqual(self.purged(EMAIL_VERIFICATION="off"), {})
        self.assertIn("old", self.usernames())


class TestPurgeCommand(BaseTestCase):
    """`manage.py purge`, alone and in several processes at once."""

    EXPIRED = 12_000

    def setUp(self) -> None:
        self.url = databases.new_database()
        self.app = databases.new_app(self.url)
        self.enterContext(self.app.app_context())
        self.user_id = self.add_user()
        self.environment = servers.environment(self.url)

    def started(self, *program: str, **channels: Any) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [sys.executable, *program, "purge"],
            cwd=ROOT, env=self.environment, text=True, **channels,
        )  # fmt: skip

    @pytest.mark.processes
    def test_four_purges_at_once_delete_every_row_once_during_writes(self) -> None:
        add_sessions(self.user_id, -2 * DAY, self.EXPIRED)
        process = self.started("-c", FOUR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        written = 0
        while running(process):
            # A statement that would have to wait too long raises.
            touching = update(User).where(User.id == self.user_id).values(admin=bool(written % 2))
            db.session.execute(touching)
            add_sessions(self.user_id, DAY)
            written += 1
        said, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, said)
        gone = [int(found) for found in re.findall(r"(\d+) expired", said)]
        self.assertEqual((len(gone), sum(gone)), (4, self.EXPIRED), said)
        self.assertGreater(written, 4)
        self.assertEqual(kept(Session), written)

    def test_a_purge_prints_one_line(self) -> None:
        add_sessions(self.user_id, -2 * DAY, 3)
        done = manage("purge", environment=self.environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(
            done.stdout,
            f"Purged {database_name()}: 3 expired sessions, 0 ended sessions, 0 revocations, "
            "0 attempts, 0 networks, 0 audit events, 0 messages, 0 one-time tokens, "
            "0 reserved usernames, 0 failed messages, 0 unverified accounts, 0 private keys, "
            "0 deleted accounts.\n",
        )

    @pytest.mark.processes
    def test_a_purge_prints_its_progress_on_a_terminal(self) -> None:
        ours, theirs = pty.openpty()
        process = self.started("manage.py", stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        said = b""
        while b"deleted accounts." not in said:
            said += os.read(ours, 1024)
        self.assertEqual(process.wait(30), 0)
        os.close(ours)
        self.assertRegex(said.decode(), r"Purging .*\[#+\] +100%")
