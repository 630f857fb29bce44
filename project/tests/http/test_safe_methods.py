"""HEAD and OPTIONS change nothing, on any route."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import select

from project.extensions import autocommit, db
from project.security import digests
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, InProcess

TOKEN = "of a service"


def rows(app: Flask) -> Mapping[str, list[Any]]:
    """Return all rows of the database, except when sessions were last seen."""
    with app.app_context():
        return {
            name: sorted(
                db.session.execute(
                    select(*(one for one in table.columns if one.name != "last_seen_at"))
                ).all(),
                key=str,
            )
            for name, table in db.metadata.tables.items()
        }


class TestSafeMethods(BaseTestCase):
    """HEAD and OPTIONS on every route, before the first signing key exists."""

    def setUp(self) -> None:
        super().setUp()
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        digest = digests.sha256(TOKEN)
        self.app = databases.bare_app(
            url, TOKEN_ALGORITHM="ES256", SERVICE_TOKENS=digest, METRICS_TOKEN=digest
        )
        self.caller = InProcess(self.app.test_client())
        self.addCleanup(self.dispose)

    def dispose(self) -> None:
        """Close the app's connections."""
        with self.app.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()

    def assert_nothing_changes(self, token: str) -> None:
        """Assert that HEAD and OPTIONS of every route change no row."""
        before = rows(self.app)
        for rule in self.app.url_map.iter_rules():
            path = str(rule.rule).replace("<user_id>", "1").replace("<session_id>", "0" * 32)
            for method in ("HEAD", "OPTIONS"):
                reply = self.caller.call(method, path.partition("<")[0], token=token)
                self.assertLess(reply.status, 500, path)
                self.assertEqual(rows(self.app), before, f"{method} {path}")

    def test_nothing_changes_with_a_service_token(self) -> None:
        self.assert_nothing_changes(TOKEN)

    def test_nothing_changes_with_the_token_of_a_user(self) -> None:
        token = self.add_token(self.add_user(admin=True))
        self.assert_nothing_changes(token)
        self.assertEqual(self.caller.status(token).status, 200)

    def test_logout_does_not_support_head(self) -> None:
        token = self.add_token(self.add_user())
        reply = self.caller.call("HEAD", "/auth/logout", token=token)
        self.assertEqual((reply.status, reply.headers["Allow"]), (405, "GET, OPTIONS, POST"))
        reply = self.caller.call("OPTIONS", "/auth/logout")
        self.assertEqual(reply.headers["Allow"], "GET, OPTIONS, POST")
        self.assertEqual(self.caller.logout(token).status, 200)


class TestMailedLinks(MailboxCase):
    """A mail scanner opens every link of a mail, again and again."""

    def test_reading_consumes_no_token(self) -> None:
        session = self.caller.register("michael", "michael@example.com", PASSWORD).body[
            "auth_token"
        ]
        self.caller.post("/auth/password/reset", {"email": "michael@example.com"})
        links = {
            "/auth/email/verification/confirm": self.mail("email_verification")["link"],
            "/auth/password/reset/confirm": self.mail("password_reset")["link"],
        }
        before = rows(self.app)
        for route, link in links.items():
            for path in (route, urlsplit(link).path, "/auth/disown", "/auth/email/verification"):
                for method in ("GET", "HEAD", "OPTIONS") * 5:
                    self.caller.call(method, f"{path}?{urlsplit(link).query}", token=session)
        self.assertEqual(rows(self.app), before)
        for route, link in links.items():
            payload = {"token": self.token_of(link), "password": PASSWORD}
            self.assertEqual(self.caller.post(route, payload).status, 200)
