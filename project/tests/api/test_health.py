"""Health checks for load balancers, and graceful shutdown."""

import http.client
import json
import logging
import signal
import socket
import time
from typing import Any, ClassVar
from unittest import TestCase
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from project.extensions import db
from project.serving import draining
from project.tests.base import BaseTestCase
from project.tests.support import databases, postgres, servers
from project.tests.utils import InProcess, OverHTTP

MAX_RESPONSE_TIME = 1.5
"""Seconds: one, and some for a machine that is busy."""
GRACE = 10.0
"""Seconds that a container has before it is killed."""


class TestHealth(BaseTestCase):
    """On a database of its own."""

    def setUp(self) -> None:
        self.app = databases.new_app()
        self.caller = InProcess(self.app.test_client())

    def use(self, url: str, **settings: object) -> None:
        """Call another app, on this database."""
        self.app = databases.bare_app(url, **settings)
        self.caller = InProcess(self.app.test_client())

    def revise(self, statement: str) -> None:
        """Change what the database says of its schema."""
        with self.app.app_context():
            db.session.execute(text(statement))
            db.session.commit()

    def assert_not_ready(self, check: str) -> None:
        """Assert that the service responds in time that it is not ready, with the failed check."""
        began = time.monotonic()
        reply = self.caller.get("/health/ready")
        self.assertLess(time.monotonic() - began, MAX_RESPONSE_TIME)
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (503, "1"))
        state = {name: reply.body[name] for name in ("status", "code", "check")}
        self.assertEqual(state, {"status": "error", "code": "not_ready", "check": check})

    def assert_ready(self) -> None:
        """Assert that the service is ready."""
        self.assert_success(self.caller.get("/health/ready"), 200, "Ready.")

    def test_a_service_with_its_database_is_ready(self) -> None:
        self.assert_ready()

    def test_a_database_that_is_away(self) -> None:
        if databases.kind() == "postgresql":
            self.use(f"postgresql://postgres@127.0.0.1:{postgres.free_port()}/postgres")
        else:
            self.use("sqlite:////nonexistent/folder/users.sqlite")
        with self.assertLogs("project.serving.readiness", logging.WARNING):
            self.assert_not_ready("database")
        self.assert_success(self.caller.get("/health/live"), 200, "Alive.")

    def test_a_server_that_accepts_and_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.use(f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres")
            self.assert_not_ready("database")

    def test_a_database_that_is_slow(self) -> None:
        if databases.kind() == "sqlite":
            self.skipTest("readers of SQLite never wait for a lock")
        url = self.app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
        with self.app.app_context(), db.engine.connect() as other:
            other.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
            self.use(url, DATABASE_STATEMENT_TIMEOUT="10s")
            self.assert_not_ready("database")

    def test_a_database_without_its_schema(self) -> None:
        self.use(databases.new_database())
        self.assert_not_ready("schema")

    def test_a_schema_that_lacks_a_migration(self) -> None:
        self.revise("UPDATE alembic_version SET version_num = '0001'")
        self.assert_not_ready("schema")
        self.revise("DELETE FROM alembic_version")
        self.assert_not_ready("schema")

    def test_a_newer_versions_schema_does_not_take_this_one_out_of_service(self) -> None:
        self.revise("UPDATE alembic_version SET version_num = 'a newer one'")
        self.assert_ready()

    def test_a_server_that_is_about_to_end(self) -> None:
        self.addCleanup(draining.end)
        draining.begin()
        self.assert_not_ready("draining")
        self.assert_success(self.caller.get("/health/live"), 200, "Alive.")
        draining.end()
        self.assert_ready()


class EndingCase(TestCase):
    """A real server that shuts down."""

    __test__ = False
    kind: ClassVar[str]

    def start(self, drain_seconds: int) -> None:
        """Start a server, and open a connection that stays open."""
        url = databases.new_database()
        databases.new_app(url)
        settings = servers.environment(url, DRAIN_SECONDS=str(drain_seconds))
        started = servers.process(self.kind, settings)
        self.process, self.url, _ = self.enterContext(started)
        self.kept = self.connect()
        self.assertEqual(self.ask_kept().status, 200)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the server."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, 10)
        self.addCleanup(connection.close)
        return connection

    def ask_kept(self) -> http.client.HTTPResponse:
        """Request the readiness over the open connection."""
        self.kept.request("GET", "/health/ready")
        answer = self.kept.getresponse()
        self.last_body: Any = json.loads(answer.read())
        return answer

    def begin_login(self) -> tuple[socket.socket, bytes]:
        """Begin a login whose body is not sent yet; return when the server waits for it."""
        body = json.dumps({"email": "nobody@example.com", "password": "x"}).encode()
        address = urlsplit(self.url)
        connection = socket.create_connection((str(address.hostname), address.port), 10)
        self.addCleanup(connection.close)
        connection.sendall(
            b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        self.assertIn(b"100 Continue", connection.recv(65536))
        return connection, body

    def is_kept(self) -> bool:
        """Return whether the kept connection is still open."""
        self.kept.auto_open = 0
        try:
            self.ask_kept()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def test_what_is_in_flight_is_answered_and_readiness_ends_before(self) -> None:
        self.start(drain_seconds=1)
        in_flight, body = self.begin_login()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        while (answer := self.ask_kept()).status == 200:
            self.assertLess(time.monotonic() - began, 1)
        self.assertEqual((answer.status, self.last_body["check"]), (503, "draining"))
        self.assertEqual(OverHTTP(self.url).login().status, 404)
        while self.is_kept():
            self.assertLess(time.monotonic() - began, GRACE)
        in_flight.sendall(body)
        self.assertIn(b"404", in_flight.recv(65536).splitlines()[0])
        self.assertEqual(self.process.wait(GRACE), 0)
        self.assertLess(time.monotonic() - began, GRACE)


@pytest.mark.processes
class TestGranian(EndingCase):
    """The server that is shipped."""

    __test__ = True
    kind = "granian"

    def test_who_does_not_want_to_wait_need_not(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.start(drain_seconds=60)
            self.process.send_signal(signal.SIGTERM)
            while self.ask_kept().status == 200:
                pass
            self.process.send_signal(number)
            self.assertEqual(self.process.wait(GRACE), 0)

    def test_an_interrupt_ends_it_at_once(self) -> None:
        self.start(drain_seconds=60)
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.process.wait(GRACE), 0)


@pytest.mark.processes
class TestGunicorn(EndingCase):
    """The server that old compose files start."""

    __test__ = True
    kind = "gunicorn"
