"""Rotation and retirement of keys under load, on real servers with an independent verifier."""

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
"""The minimum of the setting."""

ROUNDS = 3
MAX_RETRIES = 60.0
"""Seconds."""


class TestRotationUnderLoad(BaseTestCase):
    """Two workers; each request uses a new connection, so that either worker can get it."""

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

    def test_no_login_fails_during_three_rotations_and_a_retired_key_is_rejected_at_once(
        self,
    ) -> None:
        tokens = self.verified_tokens(20)
        made = [self.kid_of(tokens[0])]
        for _ in range(ROUNDS):
            made.append(self.rotate())
            tokens += self.verified_tokens(40)
        tokens += self.tokens_until(made[-1])
        # Each key has signed in its turn, and tokens of the older keys remain valid.
        self.assertEqual(list(dict.fromkeys(map(self.kid_of, tokens))), made)
        for token in tokens[::20]:
            self.assert_verified(token)
        self.retire(self.kid_of(tokens[-1]))
        for _ in range(20):
            self.assertEqual(self.caller.status(tokens[-1]).body["code"], "token_invalid")
        # A new verifier, since the previous one requests unknown keys only once in ten seconds.
        self.verifier = PyJWKClient(self.key_set)
        self.verified_tokens(20)

    def verified_tokens(self, number: int) -> list[str]:
        """Log in this number of times, and verify the tokens."""
        tokens = [self.new_token() for _ in range(number)]
        for token in tokens:
            self.assert_verified(token)
        return tokens

    def new_token(self) -> str:
        """Log in; return the token."""
        token: str = self.caller.login().body["auth_token"]
        return token

    def kid_of(self, token: str) -> str:
        """Return the id of the key that signed a token."""
        kid: str = jwt.get_unverified_header(token)["kid"]
        return kid

    def assert_verified(self, token: str) -> None:
        """Assert that the service and a verifier with the published keys accept a token."""
        self.assertEqual(self.caller.status(token).status, 200)
        key = self.verifier.get_signing_key_from_jwt(token)
        jwt.decode(token, key, ["ES256"], audience="access")

    def tokens_until(self, kid: str) -> Iterator[str]:
        """Log in and verify without pause until this key signs, then ten more times."""
        deadline = time.monotonic() + MAX_RETRIES
        token = ""
        while not token or self.kid_of(token) != kid:
            self.assertLess(time.monotonic(), deadline, f"{kid} never signs")
            (token,) = self.verified_tokens(1)
            yield token
        yield from self.verified_tokens(10)

    def rotate(self) -> str:
        """Rotate the keys as the command does; return the new key's id."""
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
