"""Outages of the database: 503 within two seconds, and recovery without a restart."""

import logging
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    NullPool,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError, OperationalError

from project.database.url import database_url
from project.extensions import autocommit, db
from project.models import User
from project.tests.base import empty_tables
from project.tests.support import databases, network, postgres
from project.tests.support.outages import MAX_RESPONSE_TIME, OutageCase, closing_connections
from project.tests.utils import PASSWORD, add_user

RECOVERY = 3.0
REQUEST_ID = {"X-Request-ID": "abcd-1234"}


@pytest.mark.slow
class TestOutage(OutageCase):
    """Outages that can be simulated on both databases."""

    def test_a_locked_database_is_unavailable_until_it_is_unlocked(self) -> None:
        if databases.kind() == "postgresql":
            self.skipTest("locks of SQLite; those of PostgreSQL are in TestFaults")
        self.add_user()
        with self.app.app_context(), db.engine.connect() as connection:
            connection.execute(text("BEGIN EXCLUSIVE"))
            for call in (self.caller.register, self.caller.login):
                began = time.monotonic()
                self.assert_unavailable(call())
                self.assertLess(time.monotonic() - began, MAX_RESPONSE_TIME)
            connection.rollback()
        self.assertEqual(self.caller.register().status, 201)

    def test_an_unreachable_database_is_unavailable(self) -> None:
        token = self.add_token(self.add_user())
        if databases.kind() == "postgresql":
            gone = make_url(databases.new_database()).set(port=postgres.free_port())
            url = gone.render_as_string(hide_password=False)
        else:
            url = "sqlite:////nonexistent/folder/users.sqlite"
        self.caller = self.app_on(url)
        self.assert_all_unavailable(token)

    def test_a_database_without_its_schema_is_unavailable(self) -> None:
        token = self.add_token(self.add_user())
        self.caller = self.app_on(databases.new_database())
        self.assert_all_unavailable(token)

    def test_writes_to_a_read_only_database_are_unavailable(self) -> None:
        url = databases.new_database()
        databases.new_app(url)
        if databases.kind() == "postgresql":
            read_only = "-c default_transaction_read_only=on"
            options = f"{make_url(url).query['options']} {read_only}"
            url = make_url(url).update_query_dict({"options": options}).render_as_string()
            self.caller = self.app_on(url)
        else:
            self.caller = self.app_on(url)
            event.listen(Engine, "connect", forbid_writing)
            self.addCleanup(event.remove, Engine, "connect", forbid_writing)
        self.assert_unavailable(self.caller.register())
        # A login that cannot be counted is not attempted: guesses would have no limit meanwhile.
        self.assert_unavailable(self.caller.login())
        self.assertEqual(self.caller.status("a.b.c").status, 401)

    def test_a_file_that_is_not_a_database_is_unavailable(self) -> None:
        file = databases.folder() / "garbage.sqlite"
        file.write_bytes(b"no database at all, " * 100)
        token = self.add_token(self.add_user())
        self.caller = self.app_on(f"sqlite:///{file}")
        self.assert_all_unavailable(token)

    def test_an_outage_without_a_driver_message_is_logged(self) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OperationalError("SELECT", {}, Exception(""))

        self.enterContext(mock.patch.object(autocommit, "fetch_one", fail))
        with self.assertLogs("project", logging.ERROR) as logs:
            self.assert_unavailable(self.caller.login())
        self.assertIn("database unavailable: OperationalError", logs.output[0])

    def test_no_database_message_contains_a_hash(self) -> None:
        self.add_user()
        with self.app.app_context(), self.assertRaises(IntegrityError) as caught:
            add_user()
        self.assertNotIn("$2b$", str(caught.exception))

    def test_an_internal_error_is_a_500_with_the_envelope_and_is_logged(self) -> None:
        self.add_user()
        lifetime = self.app.config.pop("TOKEN_LIFETIME")
        self.addCleanup(self.app.config.update, TOKEN_LIFETIME=lifetime)
        with self.assertLogs("project", logging.ERROR) as logs:
            payload = {"email": "michael@example.com", "password": PASSWORD}
            reply = self.caller.call(
                "POST", "/auth/login", payload, **{"X-Request-ID": "abcd-1234"}
            )
        self.assert_error(reply, 500, "Try again.", "internal_error")
        self.assertIn("request abcd-1234 failed", logs.output[0])
        self.assertIn("KeyError", logs.output[0])


def forbid_writing(connection: sqlite3.Connection, _entry: object) -> None:
    """Make a connection read-only."""
    connection.execute("PRAGMA query_only = ON")


@pytest.mark.processes
@pytest.mark.any_database
class TestFaults(OutageCase):
    """A PostgreSQL server that runs, but cannot be used."""

    server: ClassVar[postgres.Server]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server = cls.enterClassContext(postgres.running(max_connections="20"))
        databases.new_app(cls.server.url)

    def setUp(self) -> None:
        self.start(self.server.url)

    def start(self, url: str) -> None:
        """Start an app on this URL with an open connection in each of its two pools."""
        self.caller = self.app_on(url)
        self.enterContext(closing_connections(self.app))
        with self.app.app_context():
            empty_tables()
        self.token = self.add_token(self.add_user())
        self.assertEqual(self.caller.login().status, 200)
        self.assertEqual(self.caller.status(self.token).status, 200)

    def assert_recovers(self) -> None:
        """Assert that the service recovers in time, and that no operation was partial."""
        began = time.monotonic()
        while (reply := self.caller.status(self.token)).status == 503:
            self.assertLess(time.monotonic() - began, RECOVERY)
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.caller.login().status, 200)
        self.assertEqual(self.count(User), 1)
        self.assertLess(time.monotonic() - began, RECOVERY)

    def test_a_server_with_stopped_processes_is_unavailable(self) -> None:
        with self.server.frozen():
            self.assert_all_unavailable(self.token)
        self.assert_recovers()

    def test_after_a_timeout_other_requests_fail_at_once(self) -> None:
        with self.server.frozen():
            self.assert_unavailable(self.caller.status(self.token))
            began = time.monotonic()
            for _ in range(10):
                self.assert_unavailable(self.caller.status(self.token))
            self.assertLess(time.monotonic() - began, 0.5)
        self.assert_recovers()

    def test_a_network_that_drops_packets_is_an_outage(self) -> None:
        with network.before(self.server.url) as (url, hole):
            self.start(url)
            with hole.swallowing():
                self.assert_all_unavailable(self.token)
            self.assert_recovers()

    def test_a_locked_table_is_unavailable(self) -> None:
        with self.other() as other:
            other.execute(text("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"))
            self.assert_all_unavailable(self.token)
        self.assert_recovers()

    def test_a_locked_row_is_unavailable_for_writes_only(self) -> None:
        with self.other() as other:
            other.execute(text("SELECT id FROM sessions FOR UPDATE"))
            began = time.monotonic()
            self.assert_unavailable(self.caller.logout(self.token))
            self.assertLess(time.monotonic() - began, MAX_RESPONSE_TIME)
            self.assertEqual(self.caller.status(self.token).status, 200)
        self.assert_recovers()
        self.assertEqual(self.caller.logout(self.token).status, 200)

    def test_a_cancelled_statement_keeps_the_connection(self) -> None:
        with self.app.app_context():
            before = connection_id()
            with self.assertRaisesRegex(OperationalError, "statement timeout"):
                autocommit.all(select(func.pg_sleep(5)))
            self.assertEqual(connection_id(), before)

    def test_a_server_without_free_connections_is_unavailable(self) -> None:
        with self.app.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()
        with self.all_connections_occupied():
            self.assert_all_unavailable(self.token)
        self.assert_recovers()

    def test_a_database_can_become_read_only_and_recover(self) -> None:
        self.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        self.disconnect()
        try:
            self.assert_unavailable(self.caller.register())
            self.assert_unavailable(self.caller.login())
            self.assertEqual(self.caller.status(self.token).status, 200)
        finally:
            self.execute(
                "SET TRANSACTION READ WRITE; "
                "ALTER DATABASE postgres RESET default_transaction_read_only"
            )
        self.disconnect()
        self.assert_recovers()

    def test_writes_with_a_read_only_role_are_unavailable(self) -> None:
        self.execute("CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "
                     "reader")  # fmt: skip
        self.caller = self.app_on(self.server.url.replace("postgres@", "reader@"))
        self.assert_unavailable(self.caller.register())
        self.assertEqual(self.caller.status(self.token).status, 200)

    def test_an_outage_after_an_error_leaves_the_error_unchanged(self) -> None:
        def cut(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("INSERT INTO users"):
                self.disconnect()

        event.listen(Engine, "after_cursor_execute", cut)
        self.addCleanup(event.remove, Engine, "after_cursor_execute", cut)
        reply = self.caller.register("michael", "michael@example.com")
        self.assert_error(reply, 400, "Sorry. That user already exists.", "user_exists")

    def test_an_idle_transaction_times_out(self) -> None:
        with self.app.app_context():
            self.assertEqual(self.setting_in_use("idle_in_transaction_session_timeout"), "2s")

    def test_options_of_the_url_take_precedence(self) -> None:
        url = f"{self.server.url}?options=-c%20statement_timeout%3D7s&keepalives_idle=77"
        self.caller = self.app_on(url)
        self.enterContext(closing_connections(self.app))
        with self.app.app_context():
            self.assertEqual(self.setting_in_use("statement_timeout"), "7s")
            self.assertEqual(self.setting_in_use("lock_timeout"), "1s")
            with autocommit.engine.connect() as connection:
                driver: Any = connection.connection.dbapi_connection
                self.assertEqual(driver.get_dsn_parameters()["keepalives_idle"], "77")

    def test_a_very_long_timeout_is_reduced_to_the_maximum(self) -> None:
        settings = {"DATABASE_STATEMENT_TIMEOUT": "36500d", "DATABASE_CONNECT_TIMEOUT": "36500d"}
        self.app = databases.bare_app(self.server.url, **settings)
        self.enterContext(closing_connections(self.app))
        with self.app.app_context():
            self.assertEqual(self.setting_in_use("statement_timeout"), "1h")

    def setting_in_use(self, setting: str) -> object:
        """Return the value of a PostgreSQL setting in the service's connection."""
        return autocommit.all(select(func.current_setting(setting)))[0][0]

    @contextmanager
    def other(self) -> Iterator[Connection]:
        """Yield a connection of another client."""
        engine = create_engine(database_url(self.server.url), poolclass=NullPool)
        with engine.connect() as connection:
            yield connection

    def execute(self, statements: str) -> None:
        """Execute statements as another client."""
        with self.other() as other:
            other.execute(text(statements))
            other.commit()

    def disconnect(self) -> None:
        """Close every connection of the service."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    @contextmanager
    def all_connections_occupied(self) -> Iterator[None]:
        """Occupy every connection of the server during the block."""
        with ExitStack() as taken:
            with suppress(OperationalError):
                while True:
                    taken.enter_context(self.other())
            yield


def connection_id() -> object:
    """Return the id of the server process behind the autocommit connection."""
    return autocommit.all(select(func.pg_backend_pid()))[0][0]


@pytest.mark.processes
@pytest.mark.any_database
class TestServerOutage(OutageCase):
    """A PostgreSQL server that stops and restarts."""

    server: ClassVar[postgres.Server]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server = cls.enterClassContext(postgres.running())
        databases.new_app(cls.server.url)

    def setUp(self) -> None:
        self.caller = self.app_on(self.server.url)
        self.enterContext(closing_connections(self.app))
        with self.app.app_context():
            empty_tables()

    def test_the_service_recovers_when_the_server_restarts(self) -> None:
        token = self.add_token(self.add_user())
        self.assertEqual(self.caller.login().status, 200)
        self.assertEqual(self.caller.status(token).status, 200)
        self.server.stop()
        self.assert_all_unavailable(token)
        self.server.start()
        self.assertEqual(self.caller.status(token).status, 200)
        self.assertEqual(self.caller.login().status, 200)
        self.assertEqual(self.caller.logout(token).status, 200)

    def test_a_duplicate_registration_writes_no_hash_to_postgresqls_log(self) -> None:
        for _ in range(2):
            self.caller.register()
        log = (self.server.data.parent / "log").read_text()
        self.assertIn("ready to accept connections", log)
        self.assertNotIn("$2b$", log)

    def test_a_restart_between_two_requests_causes_no_error(self) -> None:
        token = self.add_token(self.add_user())
        self.assertEqual(self.caller.login().status, 200)
        self.assertEqual(self.caller.status(token).status, 200)
        self.server.stop()
        self.server.start()
        self.assertEqual(self.caller.status(token).status, 200)
        self.assertEqual(self.caller.login().status, 200)

    def test_a_server_that_accepts_connections_but_never_responds_is_unavailable(self) -> None:
        token = self.add_token(self.add_user())
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            self.caller = self.app_on(f"postgresql://postgres@127.0.0.1:{port}/postgres")
            self.assert_all_unavailable(token)


@pytest.mark.processes
@pytest.mark.any_database
def test_a_test_server_removes_its_files(tmp_path: Path) -> None:
    """Assert that a test server removes its files at its end."""
    with postgres.running() as server:
        folder = server.data.parent
    assert not folder.exists()
