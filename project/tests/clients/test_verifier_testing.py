"""The fake verifier for the tests of other services, and the reader of sent mail."""

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
    """The fake verifier behaves like a verifier, with tokens that a test creates."""

    def setUp(self) -> None:
        self.verifier = self.enterContext(FakeVerifier())

    def code_of(self, token: str) -> str:
        """Return the error code for a rejected token."""
        with self.assertRaises(TokenRejected) as caught:
            self.verifier.verify(token)
        return caught.exception.code

    def test_the_example_of_the_readme_works(self) -> None:
        shown = re.search(r"## Tests\n\n```python\n(.*?)```", PAGE, re.DOTALL)
        assert shown is not None
        exec(shown[1], {})

    def test_each_user_has_the_given_data_and_a_different_session(self) -> None:
        ada = self.verifier.fetch_user(self.verifier.add_user())
        bob = self.verifier.fetch_user(self.verifier.add_user("bob", "bob@example.com", user_id=7))
        self.assertEqual((ada.user_id, ada.username, ada.admin), (1, "ada", False))
        self.assertEqual((bob.user_id, bob.email), (7, "bob@example.com"))
        self.assertNotEqual(ada.session_id, bob.session_id)

    def test_invalid_tokens_and_an_outage_raise_the_errors_of_a_verifier(self) -> None:
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

    def test_the_guards_accept_a_fake_verifier(self) -> None:
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
