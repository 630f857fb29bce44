"""Keys that rotate and retire under load, on real servers, before an independent verifier."""

import time
from collections.abc import Iterator
from datetime import timedelta

import jwt
import pytest
from jwt import PyJWKClient

from project.accounts import signing_keys
from project.accounts.signing_keys import source
from project.clock import utcnow
from project.tests.base import BaseTestCase
from project.tests.support import databases, servers
from project.tests.utils import OverHTTP

pytestmark = pytest.mark.processes


LEAD = timedelta(seconds=10)
"""The shortest that may be set."""

ROUNDS = 3
MAX_RETRIES = 60.0
"""Seconds."""


class TestRotationUnderLoad(BaseTestCase):
    """Two worker processes; every request opens a connection, so that either may get it."""

    def setUp(self) -> None:
        super().setUp()
        url = databases.new_database()
        self.app = databases.new_app(url, TOKEN_ALGORITHM="ES256", KEY_PUBLICATION_LEAD=LEAD)
        self.add_user()
        serving = servers.running(
            "granian",
            url,
            TOKEN_ALGORITHM="ES256",
            KEY_PUBLICATION_LEAD="10s",
            MAX_SESSIONS_PER_USER="10000",
            THROTTLE_LOGINS="1000000/15m",
        )
        server = self.enterContext(serving)
        self.caller = OverHTTP(server)
        self.key_set = f"{server}/.well-known/jwks.json"
        self.verifier = PyJWKClient(self.key_set, lifespan=600, cooldown_duration=10)

    def test_three_rotations_fail_nobody_and_a_retired_key_is_refused_at_once(self) -> None:
        tokens = self.verified_tokens(20)
        made = [self.kid_of(tokens[0])]
        for _ in range(ROUNDS):
            made.append(self.rotate())
            tokens += self.verified_tokens(40)
        tokens += self.tokens_until(made[-1])
        # Each signed in its turn, and what the older ones signed is still good.
        self.assertEqual(list(dict.fromkeys(map(self.kid_of, tokens))), made)
        for token in tokens[::20]:
            self.assert_verified(token)
        self.retire(self.kid_of(tokens[-1]))
        for _ in range(20):
            self.assertEqual(self.caller.status(tokens[-1]).body["code"], "token_invalid")
        # A verifier asks again for a key that it does not know, but not for ever shortly after.
        self.verifier = PyJWKClient(self.key_set)
        self.verified_tokens(20)

    def verified_tokens(self, number: int) -> list[str]:
        """Log in and verify, this often."""
        tokens = [self.new_token() for _ in range(number)]
        for token in tokens:
            self.assert_verified(token)
        return tokens

    def new_token(self) -> str:
        """Log in; return the token."""
        token: str = self.caller.login().body["auth_token"]
        return token

    def kid_of(self, token: str) -> str:
        """Return which key signed a token."""
        kid: str = jwt.get_unverified_header(token)["kid"]
        return kid

    def assert_verified(self, token: str) -> None:
        """Assert that the service and a verifier with the published keys accept a token."""
        self.assertEqual(self.caller.status(token).status, 200)
        key = self.verifier.get_signing_key_from_jwt(token)
        jwt.decode(token, key, ["ES256"], audience="access")

    def tokens_until(self, kid: str) -> Iterator[str]:
        """Log in and verify without pause until this key signs, and some more."""
        patience = time.monotonic() + MAX_RETRIES
        token = ""
        while not token or self.kid_of(token) != kid:
            self.assertLess(time.monotonic(), patience, f"{kid} never signs")
            (token,) = self.verified_tokens(1)
            yield token
        yield from self.verified_tokens(10)

    def rotate(self) -> str:
        """Rotate, as the command does; return the new key's id."""
        with self.app.app_context():
            source.current().signing_key()
            made = source.current().rotate(utcnow() + LEAD)
        assert made is not None
        return made

    def retire(self, kid: str) -> None:
        """Retire a key, as the command does."""
        with self.app.app_context():
            signing_keys.retire(kid)
            source.current().signing_key()
