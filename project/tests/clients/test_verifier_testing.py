"""The stand-in of the verifier for the tests of other services, and the reader of sent mail."""

import re
import threading
from datetime import timedelta
from unittest import TestCase

import pytest
from flask import Flask
from users_client import ServiceUnavailable, TokenRejected, UserPrincipal
from users_client.flask import requires_admin
from users_client.testing import FakeVerifier, Mailbox
from werkzeug.serving import make_server

from project.tests.support.mailbox import MailboxCase
from project.tests.support.paths import ROOT
from project.tests.utils import PASSWORD

PAGE = (ROOT / "clients" / "python" / "README.md").read_text()


@pytest.mark.any_database
class TestFakeVerifier(TestCase):
    """It does what a verifier does, with tokens that the test has made."""

    def setUp(self) -> None:
        self.verifier = self.enterContext(FakeVerifier())

    def code_of(self, token: str) -> str:
        """Return the code by which a token is refused."""
        with self.assertRaises(TokenRejected) as caught:
            self.verifier.verify(token)
        return caught.exception.code

    def test_it_does_what_the_page_says(self) -> None:
        shown = re.search(r"## Tests\n\n```python\n(.*?)```", PAGE, re.DOTALL)
        assert shown is not None
        exec(shown[1], {})

    def test_users_are_different_and_as_they_were_made(self) -> None:
        ada = self.verifier.fetch_user(self.verifier.add_user())
        bob = self.verifier.fetch_user(self.verifier.add_user("bob", "bob@example.com", user_id=7))
        self.assertEqual((ada.user_id, ada.username, ada.admin), (1, "ada", False))
        self.assertEqual((bob.user_id, bob.email), (7, "bob@example.com"))
        self.assertNotEqual(ada.session_id, bob.session_id)

    def test_what_is_refused(self) -> None:
        ended, good = self.verifier.add_user(), self.verifier.add_user()
        self.verifier.end_session(ended)
        self.assertEqual(self.code_of(ended), "session_ended")
        self.assertEqual(self.code_of("x"), "token_invalid")
        old = self.verifier.add_user(lifetime=timedelta(0))
        self.assertEqual(self.code_of(old), "token_expired")
        self.verifier.verify_header(f"Bearer {good}")
        self.verifier.available = False
        for ask in (self.verifier.check, lambda: self.verifier.verify(good)):
            with self.assertRaises(ServiceUnavailable):
                ask()

    def test_the_guards_take_it(self) -> None:
        app = Flask(__name__)

        @app.get("/")
        @requires_admin(self.verifier)
        def name(caller: UserPrincipal) -> str:
            return caller.username

        field = {"Authorization": f"Bearer {self.verifier.add_user('eve', admin=True)}"}
        self.assertEqual(app.test_client().get("/", headers=field).text, "eve")


class TestMailbox(MailboxCase):
    """Reads what the service has sent."""

    def mailbox(self, path: str = "") -> Mailbox:
        """Return a mailbox of this test's service."""
        server = make_server("127.0.0.1", 0, self.app)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        mailbox = Mailbox(f"http://127.0.0.1:{server.port}{path}")
        for end in (thread.join, server.server_close, server.shutdown, mailbox.close):
            self.addCleanup(end)
        return mailbox

    def test_it_waits_for_a_mail(self) -> None:
        self.caller.register("michael", "michael+1@example.com", PASSWORD)
        self.caller.post("/auth/password/reset", {"email": "michael+1@example.com"})
        self.deliver()
        mailbox = self.mailbox()
        mail = mailbox.wait_for("michael+1@example.com", "email_verification")
        self.assertEqual(mail.code, self.mail(mail.kind, mail.to)["code"])
        self.assertEqual(mailbox.wait_for(mail.to).kind, "password_reset")
        with self.assertRaises(TimeoutError):
            mailbox.wait_for("other@example.com", timeout=0.2)

    def test_without_the_mail_folder(self) -> None:
        with self.assertRaises(ServiceUnavailable):
            self.mailbox("/elsewhere").wait_for("ada@example.com")
