"""The verifier against the real service, through a relay that records its requests."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar

import jwt
import pytest
from users_client import ServiceUnavailable, TokenRejected, Verifier

from project.accounts import lifecycle, signing_keys
from project.accounts.signing_keys import source
from project.clock import utcnow
from project.security import digests
from project.tests.base import BaseTestCase
from project.tests.support import databases, fake_service, servers
from project.tests.support.fake_service import FEED, KEYS, STATUS, Clock
from project.tests.support.paths import ROOT
from project.tests.utils import OverHTTP

pytestmark = pytest.mark.processes


SERVICE_TOKEN = "the-token-of-another-service"
PAGE = (ROOT / "docs" / "other-services.md").read_text()


class ServedCase(BaseTestCase):
    """A service with two workers, a verifier that polls often, and a user."""

    algorithm: ClassVar[str]

    def setUp(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database, TOKEN_ALGORITHM=self.algorithm)
        settings = {
            "TOKEN_ALGORITHM": self.algorithm,
            "SERVICE_TOKENS": digests.sha256(SERVICE_TOKEN),
        }
        self.serving = self.enterContext(ExitStack())
        url = self.serving.enter_context(servers.running("granian", database, **settings))
        self.caller = OverHTTP(url)
        self.recorder = self.enterContext(fake_service.recorded(fake_service.relay(url)))
        self.clock = Clock()
        self.verifier = self.enterContext(
            Verifier(self.recorder.url, SERVICE_TOKEN, poll_interval=0.1, clock=self.clock)
        )
        self.user_id = self.add_user()

    def login(self) -> dict[str, Any]:
        """Log in; return the tokens."""
        tokens: dict[str, Any] = self.caller.login().body
        return tokens

    def assert_accepted(self, token: str) -> None:
        """Assert that the verifier returns the claims of a token."""
        claims = jwt.decode(token, options={"verify_signature": False})
        principal = self.verifier.verify(token)
        self.assertEqual(
            [principal.user_id, principal.session_id, principal.token_id],
            [self.user_id, claims["sid"], claims["jti"]],
        )
        times = [int(moment.timestamp()) for moment in (principal.issued_at, principal.expires_at)]
        self.assertEqual(times, [claims["iat"], claims["exp"]])

    def assert_token_rejected(self, token: str, code: str) -> None:
        """Assert that the verifier rejects a token with this code."""
        with self.assertRaises(TokenRejected) as caught:
            self.verifier.verify(token)
        self.assertEqual(caught.exception.code, code)

    def request_count(self, path: str) -> int:
        """Return the number of requests for a path."""
        return self.recorder.asked.count(path)


class TestKeyPair(ServedCase):
    """Tokens signed by an ES256 key pair."""

    algorithm = "ES256"

    def test_tokens_cost_no_request_and_ended_sessions_are_rejected_after_a_poll(self) -> None:
        ended, good = self.login(), self.login()
        for login in (ended, good) * 20:
            self.assert_accepted(login["auth_token"])
        self.assert_token_rejected(good["refresh_token"], "token_invalid")
        self.caller.logout(ended["auth_token"])
        self.recorder.wait_for_poll()
        self.assert_token_rejected(ended["auth_token"], "session_ended")
        self.assert_accepted(good["auth_token"])
        with self.app.app_context():
            lifecycle.deactivate("michael@example.com")
        self.recorder.wait_for_poll()
        self.assert_token_rejected(good["auth_token"], "session_ended")
        self.assertEqual((self.request_count(KEYS), self.request_count(STATUS)), (1, 0))

    def test_a_new_key_is_accepted_at_once_and_a_retired_one_rejected_after_a_poll(self) -> None:
        old = self.login()["auth_token"]
        self.assert_accepted(old)
        with self.app.app_context():
            source.current().signing_key()
            source.current().rotate(utcnow())
        new = self.login()["auth_token"]
        self.assertNotEqual(*map(kid_of, (old, new)))
        self.assert_accepted(new)
        self.assert_accepted(old)
        with self.app.app_context():
            signing_keys.retire(kid_of(old))
        self.recorder.wait_for_poll()
        self.assert_token_rejected(old, "token_invalid")
        self.assert_accepted(new)
        self.assertEqual((self.request_count(KEYS), self.request_count(STATUS)), (2, 0))

    def test_during_an_outage_tokens_are_accepted_for_a_minute(self) -> None:
        token = self.login()["auth_token"]
        self.assert_accepted(token)
        self.serving.close()
        self.clock.now += 60
        self.assert_accepted(token)
        self.clock.now += 1
        with self.assertRaises(ServiceUnavailable):
            self.verifier.verify(token)

    def test_the_example_with_pyjwt_verifies_tokens(self) -> None:
        shown = re.search(r"```python\n(import jwt\n.*?)```", PAGE, re.DOTALL)
        assert shown is not None
        names: dict[str, Callable[[str], dict[str, object]]] = {}
        exec(shown[1].replace("https://users.internal:5000", self.recorder.url), names)
        login = self.login()
        self.assertEqual(names["verify"](login["auth_token"])["sub"], str(self.user_id))
        with self.assertRaises(jwt.PyJWTError):
            names["verify"](login["refresh_token"])


class TestEdwardsKeyPair(ServedCase):
    """Tokens signed by an EdDSA key pair."""

    algorithm = "EdDSA"

    def test_tokens_cost_no_request(self) -> None:
        login = self.login()
        for _ in range(20):
            self.assert_accepted(login["auth_token"])
        self.assert_token_rejected(login["refresh_token"], "token_invalid")
        self.assertEqual((self.request_count(KEYS), self.request_count(STATUS)), (1, 0))


class TestSecret(ServedCase):
    """Tokens signed with the secret, which only the service can verify."""

    algorithm = "HS256"

    def test_every_verification_sends_a_request(self) -> None:
        token, spare = self.login()["auth_token"], self.login()["auth_token"]
        for _ in range(3):
            self.assert_accepted(token)
        self.caller.logout(token)
        self.assert_token_rejected(token, "session_ended")
        self.set_user(self.user_id, active=False)
        self.assert_token_rejected(spare, "user_inactive")
        self.assertEqual((self.request_count(FEED), self.request_count(STATUS)), (0, 5))
        self.serving.close()
        with self.assertRaises(ServiceUnavailable):
            self.verifier.verify(spare)


def kid_of(token: str) -> str:
    """Return the key id in a token's header."""
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid
