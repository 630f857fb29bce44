"""The SQL statements of a request, recorded by a proxy."""

import re
from unittest import mock
from uuid import uuid4

from flask import Flask

from project.accounts.sessions.last_seen import LastSeen
from project.extensions import autocommit, db, get_component
from project.models import User
from project.tests import utils
from project.tests.base import BaseTestCase, empty_tables
from project.tests.support import databases, sql_proxy
from project.tests.utils import InProcess

PINGS = ("SELECT 1", ";")
EDGES = ("BEGIN", "COMMIT", "ROLLBACK")


class TestStatements(BaseTestCase):
    """Statements of requests on open connections: opening one sends statements of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.start()

    def start(self, **overrides: object) -> None:
        """Start an app behind a proxy that records its statements."""
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        watched, self.sent = self.enterContext(sql_proxy.statements(url))
        self.app = databases.new_app(watched, **overrides)
        self.caller = InProcess(self.app.test_client())
        self.token = self.add_token(self.add_user())
        self.caller.login()
        self.caller.status(self.token)
        self.sent.clear()
        self.addCleanup(self.dispose, self.app)

    def dispose(self, app: Flask) -> None:
        """Close the connections before the proxy stops."""
        with app.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()

    def test_status_sends_one_statement(self) -> None:
        self.assertEqual(self.caller.status(self.token).status, 200)
        self.assertEqual([statement.split()[0] for statement in self.sent], ["SELECT"])

    def test_readiness_sends_one_statement(self) -> None:
        self.caller.get("/health/ready")  # which may record the secret
        self.sent.clear()
        self.assertEqual(self.caller.get("/health/ready").status, 200)
        self.assertEqual([statement.split()[0] for statement in self.sent], ["SELECT"])

    def test_status_with_a_key_pair_sends_one_statement(self) -> None:
        with self.app.app_context():
            empty_tables()
        self.start(TOKEN_ALGORITHM="ES256")
        self.assertEqual(self.caller.status(self.token).status, 200)
        self.assertEqual([statement.split()[0] for statement in self.sent], ["SELECT"])

    def test_status_with_a_forged_token_sends_no_statement(self) -> None:
        head, payload, signature = self.token.split(".")
        self.assertEqual(self.caller.status(f"{head}.{payload}.{signature[::-1]}").status, 401)
        self.assertEqual(self.sent, [])

    def test_a_login_counts_then_hashes_then_writes_in_one_transaction(self) -> None:
        with mock.patch.object(User, "check_password", self.hash_without_a_transaction):
            self.assertEqual(self.caller.login(password=utils.PASSWORD).status, 200)
        before, after = self.sent[: self.hashed_at], self.sent[self.hashed_at :]
        self.assertEqual([statement.split()[0] for statement in before], ["SELECT", "INSERT"])
        self.assertEqual(self.tables(before), ["throttle"])
        self.assertEqual(self.tables(after), ["sessions", "audit_events", "throttle", "throttle"])
        self.assertEqual(self.words(after)[:3], ["BEGIN", "SELECT", "INSERT"])
        self.assert_one_transaction(after)

    def test_a_registration_is_one_transaction(self) -> None:
        self.assertEqual(self.caller.register().status, 201)
        self.assertEqual(self.tables(self.sent)[0], "throttle")
        written = ["users", "sessions", "audit_events", "known_networks"]
        self.assertEqual(self.tables(self.sent)[1:], [*written, "one_time_tokens", "outbox"])
        self.assert_one_transaction(self.sent)

    def test_a_refresh_sends_one_read_and_one_update(self) -> None:
        token = self.caller.login().body["refresh_token"]
        self.sent.clear()
        self.assertEqual(self.caller.post("/auth/refresh", {"refresh_token": token}).status, 200)
        self.assertEqual(self.words(), ["SELECT", "INSERT", "BEGIN", "UPDATE", "COMMIT"])

    def test_a_response_in_the_grace_period_sends_one_read_and_one_update(self) -> None:
        token = self.caller.login().body["refresh_token"]
        for _ in range(2):
            self.sent.clear()
            self.caller.post("/auth/refresh", {"refresh_token": token})
        self.assertEqual(self.words(), ["SELECT", "BEGIN", "UPDATE", "COMMIT"])

    def test_the_list_of_sessions_writes_nothing(self) -> None:
        last_seen = get_component(LastSeen, self.app)
        last_seen.touch(uuid4())
        self.assertEqual(self.caller.get("/auth/sessions", self.token).status, 200)
        self.assertEqual(self.words(), ["SELECT", "SELECT"])

    def test_the_account_is_read_by_three_statements(self) -> None:
        self.assertEqual(self.caller.get("/auth/account", self.token).status, 200)
        self.assertEqual(self.words(), ["SELECT", "SELECT", "SELECT"])

    def test_a_deletion_is_one_transaction(self) -> None:
        token = self.caller.login().body["auth_token"]
        self.sent.clear()
        self.assertEqual(self.caller.call("DELETE", "/auth/account", token=token).status, 200)
        self.assert_one_transaction(self.sent)
        self.assertLessEqual(len(self.sent), 16)

    def test_a_logout_of_others_without_other_sessions_inserts_no_event(self) -> None:
        with self.app.app_context():
            empty_tables()
        self.token = self.add_token(self.add_user())
        self.sent.clear()
        reply = self.caller.post("/auth/logout", {"scope": "others"}, self.token)
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.words(), ["SELECT", "INSERT", "BEGIN", "UPDATE", "COMMIT"])

    def test_a_login_with_a_device_token_writes_only_its_own_counters(self) -> None:
        token = self.caller.login().body["device_token"]
        payload = {"email": "michael@example.com", "password": utils.PASSWORD}
        self.sent.clear()
        reply = self.caller.post("/auth/login", payload | {"device_token": token})
        self.assertEqual(reply.status, 200)
        written = ["throttle", "sessions", "audit_events", "throttle"]
        self.assertEqual(self.tables(self.sent), written)

    def test_a_device_token_of_another_account_sends_the_statements_of_a_login_without_one(
        self,
    ) -> None:
        self.add_user("ada", "ada@example.com")
        token = self.caller.login().body["device_token"]
        costs = []
        for email in ("ada@example.com", "nobody@example.com"):
            payload = {"email": email, "password": "wrong", "device_token": token}
            self.sent.clear()
            self.assertEqual(self.caller.post("/auth/login", payload).status, 404)
            costs.append([statement.split()[0] for statement in self.sent])
        self.assertEqual(costs[0], costs[1])

    def test_the_write_limit_takes_one_statement(self) -> None:
        self.sent.clear()
        self.caller.call("POST", "/auth/logout", {"scope": "others"}, self.token)
        self.assertEqual(self.tables(self.sent).count("throttle"), 1)
        self.sent.clear()
        self.assertEqual(self.caller.logout(self.token).status, 200)
        self.assertNotIn("throttle", self.tables(self.sent))

    def test_a_failed_login_sends_the_same_statements_for_an_unknown_address(self) -> None:
        self.add_user("ada", "ada@example.com")
        costs = []
        for email in ("ada@example.com", "nobody@example.com"):
            self.sent.clear()
            self.assertEqual(self.caller.login(email, "wrong").status, 404)
            costs.append([statement.split()[0] for statement in self.sent])
        self.assertEqual(costs[0], costs[1])
        self.assertEqual(self.tables(self.sent)[-1], "audit_events")

    def assert_one_transaction(self, statements: list[str]) -> None:
        """Assert that these statements contain exactly one transaction."""
        edges = [word for word in self.words(statements) if word in EDGES]
        self.assertEqual(edges, ["BEGIN", "COMMIT"])

    def words(self, statements: list[str] | None = None) -> list[str]:
        """Return the first word of each statement, without those that test the connection."""
        sent = self.sent if statements is None else statements
        return [statement.split()[0] for statement in sent if statement not in PINGS]

    def hash_without_a_transaction(self, password_hash: str, password: str, network: str) -> bool:
        """Check a password; record the number of statements before it."""
        self.hashed_at = len(self.sent)
        self.assertEqual(autocommit.engine.pool.checkedout(), 0)  # type: ignore[attr-defined]
        return True

    def tables(self, statements: list[str]) -> list[str]:
        """Return the tables that these statements write to."""
        written = [re.match(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", one) for one in statements]
        return [found[1] for found in written if found]
