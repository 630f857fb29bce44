"""The service's extensions of SQLAlchemy, on both databases."""

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import TestCase
from uuid import uuid4

import pytest
from sqlalchemy import bindparam, literal, select

from project.accounts.sessions import SESSION_WITH_USER
from project.database.base import UTCDateTime, add_seconds
from project.database.compiled import CompiledQuery
from project.extensions import autocommit, db
from project.models import Session, User
from project.tests.base import BaseTestCase
from project.tests.support import databases

MILLISECOND = timedelta(milliseconds=1)


class TestPrivateFiles(TestCase):
    """The files of an SQLite database."""

    @pytest.mark.any_database
    def test_only_the_owner_can_read_the_files(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.addCleanup(os.umask, os.umask(0o022))
        app = databases.new_app(f"sqlite:///{folder}/users.sqlite")
        with app.app_context():
            db.session.execute(select(1))
            autocommit.first(select(User.id))
            modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
        names = ("users.sqlite", "users.sqlite-wal", "users.sqlite-shm")
        self.assertEqual(modes, dict.fromkeys(names, 0o600))


class TestAddSeconds(BaseTestCase):
    """Times that the database computes with add_seconds()."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.app.app_context())

    def test_the_result_is_the_given_number_of_seconds_later(self) -> None:
        for moment, seconds in (
            (datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC), 1),
            (datetime(2028, 2, 28, 23, 59, 30, 500_000, UTC), 86400),
            (datetime(1999, 12, 31, 12, tzinfo=UTC), 100 * 365 * 86400),
            (datetime(2026, 11, 23, 1, 2, 3, 4, UTC), 0),
        ):
            with self.subTest(moment=moment, seconds=seconds):
                computed = db.session.scalar(
                    select(add_seconds(literal(moment, UTCDateTime()), seconds))
                )
                assert computed is not None
                distance = abs(computed - moment - timedelta(seconds=seconds))
                self.assertLessEqual(distance, MILLISECOND)  # SQLite's precision

    def test_the_result_compares_with_stored_times(self) -> None:
        user_id = self.add_user()
        written = select(User.id).where(User.id == user_id)
        now = db.session.scalar(select(User.created_at).where(User.id == user_id))
        for seconds, comes_later in ((1, True), (-1, False)):
            is_after = add_seconds(literal(now, UTCDateTime()), seconds) > User.created_at
            found = db.session.scalar(written.where(is_after)) is not None
            self.assertEqual(found, comes_later)


class TestCompiledQuery(BaseTestCase):
    """Compiled queries, whose results equal those of SQLAlchemy's execution."""

    def setUp(self) -> None:
        super().setUp()
        self.add_token(self.add_user())
        self.enterContext(self.app.app_context())
        self.session_id = db.session.scalars(select(Session.id)).one()

    def test_the_row_equals_that_of_the_statement(self) -> None:
        values = {"session_id": self.session_id, "key_id": None}
        compiled = autocommit.fetch_one(SESSION_WITH_USER, **values)
        assert compiled is not None
        ordinary = autocommit.first(SESSION_WITH_USER.statement, **values)
        assert ordinary is not None
        self.assertEqual(tuple(compiled), tuple(ordinary))
        self.assertEqual(compiled.user_id, ordinary.user_id)
        self.assertEqual(compiled.created_at.tzinfo, UTC)

    def test_no_row_returns_none(self) -> None:
        self.assertIsNone(autocommit.fetch_one(SESSION_WITH_USER, session_id=uuid4(), key_id=None))

    def test_a_value_is_never_part_of_the_sql_text(self) -> None:
        named = CompiledQuery(select(User.id).where(User.username == bindparam("name")))
        self.assertIsNone(autocommit.fetch_one(named, name="' OR '1'='1"))

    def test_a_query_is_retried_after_a_lost_connection(self) -> None:
        read = autocommit.fetch_one(SESSION_WITH_USER, session_id=self.session_id, key_id=None)
        with autocommit.engine.connect() as connection:
            driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.close()
        again = autocommit.fetch_one(SESSION_WITH_USER, session_id=self.session_id, key_id=None)
        self.assertEqual(again, read)
        self.assertEqual(autocommit.engine.pool.checkedout(), 0)  # type: ignore[attr-defined]
