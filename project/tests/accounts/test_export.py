"""GET /auth/account/export: the caller's rows of every table."""

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select

from project.accounts import export
from project.clock import utcnow
from project.extensions import db
from project.models import AuditEvent, OneTimeToken, Outbox, User
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, Reply

EXPORT = "/auth/account/export"
SECRETS = ("password", "secret", "hash", "token", "payload", "lease")


class TestSchema(MailboxCase):
    """The export covers every table and column."""

    def test_every_table_is_exported_or_has_a_reason_not_to_be(self) -> None:
        exported = {table.name for table in export.TABLES}
        self.assertEqual(exported | set(export.LEFT_OUT), set(db.metadata.tables))
        self.assertFalse(exported & set(export.LEFT_OUT))
        for name, table in db.metadata.tables.items():
            if name == "users" or "user_id" in table.c:
                self.assertIn(name, exported)

    def test_every_column_is_exported_or_withheld(self) -> None:
        for table in export.TABLES:
            columns = [*table.exported.split(), *table.withheld.split()]
            self.assertCountEqual(columns, db.metadata.tables[table.name].c.keys(), table.name)
            for secret in SECRETS:
                self.assertNotIn(secret, table.exported)


class TestExport(MailboxCase):
    """Two users with rows in every table, one of whom exports them."""

    def setUp(self) -> None:
        super().setUp()
        self.tokens = {}
        for name in ("ada", "hopper"):
            registered = self.caller.register(name, f"{name}@example.com", PASSWORD).body
            self.tokens[name] = registered["auth_token"]
            self.caller.call("PATCH", "/auth/account", {"username": f"{name}2"}, self.tokens[name])
            self.caller.login(f"{name}@example.com", "wrong")
            self.deliver()

    def export(self, token: str | None = None) -> Reply:
        """Export an account."""
        return self.caller.get(EXPORT, token or self.tokens["ada"])

    def data(self) -> Any:
        """Return the data of Ada's export."""
        return self.assert_success(self.export(), 200)["data"]

    def test_every_table_has_only_the_callers_rows(self) -> None:
        data = self.data()
        (user,) = data["users"]
        self.assertEqual((user["username"], user["email"]), ("ada2", "ada@example.com"))
        self.assertEqual(list(data), [table.name for table in export.TABLES])
        for name, rows in data.items():
            self.assertTrue(rows, name)
            for row in rows:
                self.assertEqual(row["id" if name == "users" else "user_id"], user["id"])
        self.assertNotIn("hopper", json.dumps(data))
        self.assertEqual([row["username_key"] for row in data["reserved_usernames"]], ["ada"])
        events = [row["event"] for row in data["audit_events"]]
        self.assertEqual(events, ["user.registered", "username.changed", "login.failed"])
        session = self.caller.get("/auth/sessions", self.tokens["ada"]).body["data"]["sessions"][0]
        (exported,) = data["sessions"]
        for field in ("id", "created_at", "address", "user_agent"):
            self.assertEqual(exported[field], session[field])

    def test_the_export_contains_no_hash_secret_or_token(self) -> None:
        text = self.export().raw.decode()
        with self.app.app_context():
            secrets = [user.password for user in db.session.query(User)]
            secrets += [token.id.hex for token in db.session.query(OneTimeToken)]
            self.assertEqual(len(secrets), 2 + 6)
        secrets += [mail["code"] for mail in self.mails("ada@example.com") if mail["code"]]
        for secret in (*secrets, *self.tokens.values()):
            self.assertNotIn(secret, text)

    def test_the_export_requires_a_recent_authentication_and_is_recorded(self) -> None:
        with self.app.app_context():
            user_id = db.session.scalar(select(User.id).where(User.username == "ada2")) or 0
        reply = self.export(self.add_token(user_id))
        message = "Please confirm your password first."
        self.assert_error(reply, 401, message, "reauthentication_required")
        self.assertEqual(self.export().status, 200)
        with self.app.app_context():
            recorded = db.session.query(AuditEvent).filter_by(event="account.exported")
            self.assertEqual([event.user_id for event in recorded], [user_id])
        reply = self.caller.call("HEAD", EXPORT, token=self.tokens["ada"])
        self.assertEqual(reply.status, 405)

    def test_an_export_can_be_larger_than_a_request(self) -> None:
        with self.app.app_context():
            user_id = db.session.scalar(select(User.id).where(User.username == "ada2"))
            known = {"user_id": user_id, "event": "login.failed", "at": utcnow()}
            row = known | {"address": "203.0.113.7", "user_agent": "x", "details": {"count": 1}}
            db.session.execute(insert(AuditEvent), [row] * 2000)
            db.session.commit()
        events = self.data()["audit_events"]
        self.assertEqual(len(events), 2000 + 3)
        self.assertEqual(events[-1]["details"], {"count": 1})

    def test_waiting_messages_are_exported_with_their_recipient(self) -> None:
        with self.app.app_context():
            user_id = db.session.scalar(select(User.id).where(User.username == "ada2"))
            row = Outbox(
                kind="mail.password_changed", recipient="ada@example.com", user_id=user_id,
                language="en", payload={"token": "secret"}, created_at=utcnow(),
                due_at=utcnow() + timedelta(hours=1), expires_at=utcnow() + timedelta(days=1),
            )  # fmt: skip
            db.session.add(row)
            db.session.commit()
        waiting = [row for row in self.data()["outbox"] if row["done_at"] is None]
        self.assertEqual([row["recipient"] for row in waiting], ["ada@example.com"])
