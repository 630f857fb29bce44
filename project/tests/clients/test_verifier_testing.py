"""The stand-in of the verifier for the tests of other services."""

import re
from datetime import timedelta
from unittest import TestCase

import pytest
from flask import Flask
from users_client import ServiceUnavailable, TokenRejected, UserPrincipal
from users_client.flask import requires_admin
from users_client.testing import FakeVerifier

from project.tests.support.paths import ROOT

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
