"""Servers with different secrets are noticed, and a rotation in turn raises no false alarm."""

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
    """Every app here stands for a server; all are on one database."""

    def server(self, secret: str, *fallbacks: str) -> Flask:
        """Return a server that has just been configured."""
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
        """Assert that a server is not ready, and why."""
        with self.assertLogs("project.serving.readiness", logging.WARNING):
            reply = InProcess(app.test_client()).get("/health/ready")
        state = {name: reply.body[name] for name in ("status", "code", "check")}
        self.assertEqual(reply.status, 503)
        self.assertEqual(state, {"status": "error", "code": "not_ready", "check": "secret"})

    def recorded(self) -> Sequence[str]:
        """Return what is recorded."""
        with self.app.app_context():
            return db.session.scalars(select(SecretFingerprint.fingerprint)).all()

    def test_a_server_with_another_secret_says_so_everywhere(self) -> None:
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

    def test_a_rotation_in_turn_raises_no_false_alarm(self) -> None:
        servers = [self.start(OLD), self.start(OLD)]
        with self.assertNoLogs(SECRETS_LOG, logging.ERROR):
            for step in ((OLD, NEW), (NEW, OLD), (NEW,)):
                for number in range(2):
                    servers[number] = self.start(*step)
                    self.assert_ready(*servers, *servers)
        self.assert_not_ready(self.server(OLD))

    def test_a_server_that_restarts_between_the_steps_changes_nothing(self) -> None:
        self.start(OLD, NEW)
        first = self.start(NEW, OLD)
        second = self.start(OLD, NEW)  # restarted before its turn
        self.assert_ready(first, second)
        second = self.start(NEW, OLD)
        self.assert_ready(first, second, self.start(NEW))

    def test_a_single_server_may_leave_the_first_step_out(self) -> None:
        self.start(OLD)
        self.assert_ready(self.start(NEW, OLD), self.start(NEW))

    def test_servers_that_started_without_the_database_record_when_they_are_ready(self) -> None:
        away = OperationalError("SELECT", {}, Exception("the server is away"))
        with mock.patch.object(shared_secret, "recorded", side_effect=away):
            first = self.start(OLD)
        self.assertEqual(self.recorded(), [])
        self.assert_ready(first, self.server(NEW, OLD))
        self.assert_ready(self.server(NEW))

    def test_a_leaked_secret_is_replaced_by_a_command(self) -> None:
        old, new = self.start(OLD), self.server(NEW)
        self.assert_not_ready(new)
        with new.app_context(), mock.patch("builtins.print") as said:
            keys.adopt_secret()
        self.assertIn("Recorded the fingerprint", said.call_args.args[0])
        self.assert_ready(new)
        self.assert_not_ready(old)

    def test_a_probe_computes_no_fingerprint_twice_and_writes_once(self) -> None:
        app = self.start(NEW, OLD)
        self.assert_ready(app)
        with (
            mock.patch("hashlib.scrypt", side_effect=AssertionError),
            mock.patch.object(shared_secret.SharedSecret, "record", side_effect=AssertionError),
        ):
            self.assert_ready(app, app)


@pytest.mark.any_database
class TestFingerprint(TestCase):
    """What is recorded of a secret."""

    def test_it_is_short_salted_and_slow_enough(self) -> None:
        salts = [fingerprint.new_salt() for _ in range(2)]
        self.assertEqual({len(salt) for salt in salts}, {32})
        began = time.perf_counter()
        made = [fingerprint.compute(OLD, salt) for salt in salts]
        self.assertGreater(time.perf_counter() - began, 0.01)
        self.assertEqual({len(one) for one in made}, {4})
