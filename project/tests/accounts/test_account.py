"""The caller's account, through HTTP."""

from datetime import timedelta

import time_machine
from sqlalchemy import update

from project.clock import utcnow
from project.extensions import db
from project.models import Session
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, Reply

WINDOW = timedelta(minutes=10)


class TestReauthentication(MailboxCase):
    """POST /auth/reauthenticate."""

    def setUp(self) -> None:
        super().setUp()
        self.add_user()
        self.token = self.caller.login().body["auth_token"]

    def reauthenticate(self, password: str = PASSWORD) -> Reply:
        """Send the password again."""
        return self.caller.post("/auth/reauthenticate", {"password": password}, self.token)

    def test_reauthentication_returns_the_end_of_its_window(self) -> None:
        with time_machine.travel(utcnow(), tick=False):
            body = self.assert_success(self.reauthenticate(), 200, "Password confirmed.")
            expected = (utcnow() + WINDOW).replace(microsecond=0)
        self.assertEqual(
            body["data"]["reauthentication_expires_at"], expected.isoformat().replace("+00:00", "Z")
        )

    def test_a_wrong_password_counts_as_a_login_attempt(self) -> None:
        for _ in range(5):
            reply = self.reauthenticate("wrong")
            self.assert_error(reply, 403, "The current password is wrong.", "password_wrong")
        self.assertEqual(self.reauthenticate().status, 429)
        self.assertEqual(self.caller.login().status, 429)

    def test_reauthentication_fails_if_the_session_ends_meanwhile(self) -> None:
        with self.app.app_context():
            db.session.execute(update(Session).values(ended_at=utcnow()))
            db.session.commit()
        self.assertEqual(self.reauthenticate().status, 401)
