"""The detection of servers with different secrets, and rotations without false alarms."""

import logging
import time
from collections.abc import Sequence
from unittest import TestCase, mock

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from project.commands import keys
from project.commands.doctor import database_checks
from project.commands.doctor.findings import Level
from project.extensions import autocommit, db
from project.models import SecretFingerprint
from project.security import fingerprint
from project.serving import shared_secret
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.utils import InProcess

OLD, NEW, OTHER = ("f3b1c4d5e6a798071625344352617081", "0e1f9c8b7a6d5e4f3c2b1a0918273645",
                   "77a1b2c3d4e5f60718293a4b5c6d7e8f")  # fmt: skip
SECRETS_LOG = "project.serving.shared_secret"


class TestSharedSecret(BaseTestCase):
    """Apps that represent servers on one database."""

    def server(self, secret: str, *fallbacks: str) -> Flask:
        """Return a server that is configured but not started."""
        url = self.app.config["DATABASE_TEST_URL"]
        app = databases.bare_app(url, SECRET_KEY=secret, SECRET_KEY_FALLBACKS=list(fallbacks))
        self.addCleanup(self.dispose, app)
        return app

    def dispose(self, app: Flask) -> None:
        """Close a server's connections."""
        with app.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()

    def start(self, secret: str, *fallbacks: str) -> Flask:
        """Start a server; return it."""
        app = self.server(secret, *fallbacks)
        with app.app_context():
            shared_secret.check_at_start()
        return app

    def assert_ready(self, *servers: Flask) -> None:
        """Assert that these servers are ready."""
        for app in servers:
            reply = InProcess(app.test_client()).get("/health/ready")
            self.assert_success(reply, 200, "Ready.")

    def assert_not_ready(self, app: Flask) -> None:
        """Assert that a server is not ready because of its secret."""
        with self.assertLogs("project.serving.readiness", logging.WARNING):
            reply = InProcess(app.test_client()).get("/health/ready")
        state = {name: reply.body[name] for name in ("status", "code", "check")}
        self.assertEqual(reply.status, 503)
        self.assertEqual(state, {"status": "error", "code": "not_ready", "check": "secret"})

    def recorded(self) -> Sequence[str]:
        """Return the recorded fingerprints."""
        with self.app.app_context():
            return db.session.scalars(select(SecretFingerprint.fingerprint)).all()

    def test_another_secret_is_reported_by_log_readiness_and_doctor(self) -> None:
        first = self.start(OLD)
        with self.assertLogs(SECRETS_LOG, logging.ERROR) as logged:
            other = self.start(OTHER)
        self.assertIn("SECRET_KEY differs from that of the other servers", logged.output[0])
        self.assert_ready(first)
        self.assert_not_ready(other)
        for app, level in ((first, Level.OK), (other, Level.ERROR)):
            with app.app_context():
                self.assertEqual(database_checks.recorded_secret().level, level)
        self.assertEqual(len(self.recorded()), 1)

    def test_a_rotation_raises_no_false_alarm(self) -> None:
        servers = [self.start(OLD), self.start(OLD)]
        with self.assertNoLogs(SECRETS_LOG, logging.ERROR):
            for step in ((OLD, NEW), (NEW, OLD), (NEW,)):
                for number in range(2):
                    servers[number] = self.start(*step)
                    self.assert_ready(*servers, *servers)
        self.assert_not_ready(self.server(OLD))

    def test_a_server_that_restarts_between_the_steps_stays_ready(self) -> None:
        self.start(OLD, NEW)
        first = self.start(NEW, OLD)
        second = self.start(OLD, NEW)  # restarted early
        self.assert_ready(first, second)
        second = self.start(NEW, OLD)
        self.assert_ready(first, second, self.start(NEW))

    def test_a_single_server_can_skip_the_first_step(self) -> None:
        self.start(OLD)
        self.assert_ready(self.start(NEW, OLD), self.start(NEW))

    def test_servers_that_start_during_an_outage_record_the_secret_later(self) -> None:
        outage = OperationalError("SELECT", {}, Exception("the server does not respond"))
        with mock.patch.object(shared_secret, "recorded", side_effect=outage):
            first = self.start(OLD)
        self.assertEqual(self.recorded(), [])
        self.assert_ready(first, self.server(NEW, OLD))
        self.assert_ready(self.server(NEW))

    def test_adopt_secret_replaces_a_leaked_secret(self) -> None:
        old, new = self.start(OLD), self.server(NEW)
        self.assert_not_ready(new)
        with new.app_context(), mock.patch("builtins.print") as printed:
            keys.adopt_secret()
        self.assertIn("Recorded the fingerprint", printed.call_args.args[0])
        self.assert_ready(new)
        self.assert_not_ready(old)

    def test_probes_compute_and_write_the_fingerprint_once(self) -> None:
        app = self.start(NEW, OLD)
        self.assert_ready(app)
        with (
            mock.patch("hashlib.scrypt", side_effect=AssertionError),
            mock.patch.object(shared_secret.SharedSecret, "record", side_effect=AssertionError),
        ):
            self.assert_ready(app, app)


@pytest.mark.any_database
class TestFingerprint(TestCase):
    """The recorded fingerprint of a secret."""

    def test_a_fingerprint_is_short_salted_and_slow(self) -> None:
        salts = [fingerprint.new_salt() for _ in range(2)]
        self.assertEqual({len(salt) for salt in salts}, {32})
        began = time.perf_counter()
        made = [fingerprint.compute(OLD, salt) for salt in salts]
        self.assertGreater(time.perf_counter() - began, 0.01)
        self.assertEqual({len(one) for one in made}, {4})
