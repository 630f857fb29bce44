"""The base class of the tests of delivery."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID, uuid4

from flask import Flask

from project.accounts import messages, outbox
from project.accounts.messages import KINDS, PREFIX, OneTimeTokens, Recipients
from project.accounts.suppression import StoredRecipients
from project.clock import utcnow
from project.delivery import mail
from project.delivery.loop import Deliverer
from project.extensions import add_component, autocommit, db, transaction
from project.models import Outbox
from project.settings.mail_parsers import mail_url, mailbox
from project.tests.base import BaseTestCase
from project.tests.support import databases, smtp
from project.tests.support.smtp import FaultyServer

FRONTEND = "https://app.members.net"
SENDER = mailbox("Members <no-reply@members.net>")


class Tokens:
    """One-time tokens whose codes and links show what they were made from."""

    def code_of(self, token_id: UUID, purpose: str) -> str:
        """Return a code."""
        return f"CODE-{token_id.hex[:4].upper()}"

    def link_of(self, token_id: UUID, purpose: str, page: str) -> str:
        """Return a link."""
        return f"{FRONTEND}/{page}?token={token_id.hex}{purpose}"


class DeliveryCase(BaseTestCase):
    """A test with an outbox, and a mail server that fails on demand."""

    settings: ClassVar[dict[str, object]] = {}

    def setUp(self) -> None:
        super().setUp()
        self.server = self.enterContext(smtp.running())
        self.app = self.new_app(**self.settings)
        self.enterContext(self.app.app_context())
        self.deliverer = self.new_deliverer()

    def new_app(self, **overrides: object) -> Flask:
        """Return an app on this test's database that sends to this test's server."""
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        mail_settings = {
            "MAIL_URL": mail_url(self.server.url),
            "MAIL_FROM": SENDER,
            "FRONTEND_URL": FRONTEND,
        }
        app = databases.bare_app(url, **(mail_settings | overrides))
        add_component(app, Tokens(), OneTimeTokens)
        add_component(app, StoredRecipients(), Recipients)
        self.addCleanup(self.dispose, app)
        return app

    def new_deliverer(self) -> Deliverer:
        """Return a delivering process, as good as."""
        deliverer = mail.deliverer(self.app)
        self.addCleanup(deliverer.sender.close)
        return deliverer

    def dispose(self, app: Flask) -> None:
        """Close an app's connections."""
        with app.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()

    def queue(
        self, recipient: str = "ada@members.net", kind: str = "password_changed", **options: object
    ) -> UUID:
        """Queue and commit a mail; return its id."""
        known = {
            "language": "en",
            "payload": payload(),
            "expires_at": utcnow() + KINDS[kind].lifetime,
        }
        with transaction():
            return outbox.queue(PREFIX + kind, recipient=recipient, **(known | options))  # type: ignore[arg-type]

    def deliver(self, expected: int | None = None) -> None:
        """Deliver what is due."""
        finished = self.deliverer.deliver_due()
        if expected is not None:
            self.assertEqual(finished, expected)

    def row(self, message: UUID) -> Outbox:
        """Return a message's row."""
        db.session.rollback()
        db.session.expire_all()
        return db.session.get_one(Outbox, message)

    def assert_done(self, message: UUID, outcome: str, reason: str | None = None) -> None:
        """Hold a message to how it ended."""
        row = self.row(message)
        self.assertEqual((row.outcome, row.reason), (outcome, reason))
        self.assertIsNotNone(row.done_at)
        self.assertEqual(row.recipient is None, outcome != "failed")

    def assert_waits(self, message: UUID, least: float, most: float, attempts: int) -> None:
        """Hold a message to wait so many seconds, after so many attempts."""
        row = self.row(message)
        self.assertIsNone(row.done_at)
        self.assertEqual(row.attempts, attempts)
        wait = (row.due_at - utcnow()).total_seconds()
        self.assertGreaterEqual(wait, least)
        self.assertLessEqual(wait, most)


def payload(**more: object) -> dict[str, str]:
    """Return the facts of a mail."""
    known = {"at": utcnow(), "address": "203.0.113.7", "token": uuid4(), "disown": uuid4()}
    known["final_at"] = utcnow() + timedelta(days=7)
    return messages.facts(**(known | more))  # type: ignore[arg-type]


__all__ = ["FRONTEND", "DeliveryCase", "FaultyServer", "Tokens", "payload"]
