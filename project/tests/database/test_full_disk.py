"""A full disk: writes get 503, reads still succeed, and writes succeed again with free space."""

import shutil
import tempfile
from unittest import TestCase, mock

import psutil
import pytest
from sqlalchemy import create_engine, func, select, text

from project.accounts.audit import Event
from project.commands import serving
from project.commands.console import CommandFailed
from project.database.url import database_url
from project.extensions import db
from project.models import AuditEvent, KnownNetwork, Session, User
from project.tests.support import databases, postgres, servers, small_disk
from project.tests.support.outages import OutageCase, closing_connections
from project.tests.support.scraping import DIGEST, scrape
from project.tests.support.small_disk import Disk
from project.tests.utils import PASSWORD, InProcess, OverHTTP

pytestmark = pytest.mark.processes


MAX_REGISTRATIONS = 2000
"""Upper bound of the registrations that fit into the space that a database has reserved."""


class FullDiskCase(OutageCase):
    """Fills the disk of a service, and frees it again."""

    def assert_survives(self, url: str, disk: Disk) -> None:
        """Assert that on a full disk writes get 503, reads succeed, and no operation is partial."""
        limits = {"THROTTLE_REGISTRATION": "1000000/15m", "TOKEN_EXPIRATION_DAYS": 1}
        self.app = databases.new_app(url, **limits)
        self.enterContext(closing_connections(self.app))
        self.caller = InProcess(self.app.test_client())
        token = self.caller.register("ada", "ada@example.com", PASSWORD).body["auth_token"]
        self.set_user(1, admin=True)
        disk.fill()
        made = self.register_until_full()
        for path in ("/auth/status", "/users?limit=5", "/users/1", "/health/ready"):
            self.assertEqual(self.caller.get(path, token).status, 200, path)
        self.assert_unavailable(self.caller.logout(token))
        self.assert_complete(1 + made)
        disk.free()
        reply = self.caller.register("late", "late@example.com", PASSWORD)
        self.assertEqual(reply.status, 201)
        self.assertEqual(self.caller.logout(token).status, 200)
        self.assertEqual(self.caller.login("late@example.com").status, 200)
        self.assert_complete(2 + made, logins=1)

    def register_until_full(self) -> int:
        """Register until the disk is full; return the number of new accounts."""
        for number in range(MAX_REGISTRATIONS):
            reply = self.caller.register(f"user{number}", f"user{number}@example.com", PASSWORD)
            if reply.status != 201:
                self.assert_unavailable(reply)
                return number
        raise AssertionError("the disk is never full")

    def assert_complete(self, accounts: int, logins: int = 0) -> None:
        """Assert that each account has exactly its session, network and event."""
        registered = select(func.count()).where(AuditEvent.event == Event.USER_REGISTERED)
        with self.app.app_context():
            rows = [db.session.query(table).count() for table in (User, KnownNetwork, Session)]
            self.assertEqual(db.session.scalar(registered), accounts)
        self.assertEqual(rows, [accounts, accounts, accounts + logins])


@pytest.mark.any_database
class TestFullDisk(FullDiskCase):
    """Each database, on a mounted disk of a few megabytes."""

    def test_sqlite(self) -> None:
        with small_disk.small_disk(2) as disk:
            self.assert_survives(f"sqlite:///{disk.folder}/users.sqlite", disk)

    def test_postgresql(self) -> None:
        with small_disk.small_disk(16) as disk, postgres.running() as server:
            assert (
                server.user is not None
            )  # a user with the right to mount is root, and PostgreSQL runs as another user
            shutil.chown(disk.folder, server.user)
            for statement in (
                f"CREATE TABLESPACE small LOCATION '{disk.folder}'",
                "CREATE DATABASE small TABLESPACE small",
            ):
                execute(server.url, statement)
            self.assert_survives(server.url.removesuffix("postgres") + "small", disk)


@pytest.mark.any_database
class TestFullMetricsFolder(TestCase):
    """The metrics folder of the workers, on a small disk."""

    def setUp(self) -> None:
        self.url = databases.new_database()
        databases.new_app(self.url)
        self.disk = self.enterContext(small_disk.small_disk(20))
        self.disk.folder.chmod(0o777)
        temporary = {"METRICS_TOKEN": DIGEST, "TMPDIR": str(self.disk.folder)}
        self.settings = servers.environment(self.url, **temporary)

    def call_every_route(self, caller: OverHTTP) -> None:
        """Send requests that create many metric series; assert that none is a 5xx."""
        for path in ("/ping", "/users", "/users/1", "/auth/status", "/openapi.json"):
            for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
                self.assertLess(caller.call(method, path).status, 500)

    def test_a_server_without_space_fails_to_start_and_leaves_no_files(self) -> None:
        self.enterContext(mock.patch.object(tempfile, "tempdir", str(self.disk.folder)))
        self.disk.fill()
        app = databases.bare_app(self.url, METRICS_TOKEN=DIGEST)
        with app.app_context(), self.assertRaisesRegex(CommandFailed, r"set TMPDIR .* \(No space"):
            serving.share_metrics()
        self.assertEqual([*self.disk.folder.iterdir()], [self.disk.ballast])

    def test_a_disk_that_fills_up_kills_no_worker(self) -> None:
        with servers.process("granian", self.settings) as (server, url, _):
            workers = psutil.Process(server.pid).children()
            self.disk.fill()
            for _ in range(5):
                self.call_every_route(OverHTTP(url))
            self.assertEqual(psutil.Process(server.pid).children(), workers)
            self.assertEqual(scrape(OverHTTP(url)).value("users_request_seconds_count"), 100)

    def test_a_worker_without_space_serves(self) -> None:
        with servers.process("gunicorn", self.settings) as (server, url, output):
            caller, began = OverHTTP(url), psutil.Process(server.pid).children()
            self.disk.fill()
            for worker in began:
                worker.kill()
            psutil.wait_procs(began, 30)
            self.call_every_route(caller)
            self.assertEqual(scrape(caller).value("users_hashing_threads"), 0)
        self.assertIn("metrics of this process are unavailable: No space left", "".join(output))


def execute(url: str, statement: str) -> None:
    """Execute a statement outside of a transaction."""
    engine = create_engine(database_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
