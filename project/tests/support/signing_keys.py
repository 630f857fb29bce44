"""A base class for tests with several server processes that share signing keys."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

import jwt
import time_machine
from flask import Flask

from project.accounts import signing_keys
from project.accounts.sessions import last_seen
from project.accounts.signing_keys import source
from project.extensions import autocommit, db
from project.security import digests
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.contract import INVALID_TOKEN
from project.tests.utils import Caller, InProcess

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEAD = timedelta(minutes=10)
SERVICE_TOKEN = "a token of another service"
REFRESH_TOKEN_LIFETIME = timedelta(days=60)
"""The lifetime of a refresh token."""


class SigningKeysCase(BaseTestCase):
    """Each app here plays a server process; all use one database."""

    overrides: ClassVar[dict[str, object]] = {
        "TOKEN_ALGORITHM": "ES256",
        "TOKEN_EXPIRATION_DAYS": 1,
        "TOKEN_EXPIRATION_SECONDS": 0,
        "SERVICE_TOKENS": digests.sha256(SERVICE_TOKEN),
    }

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.enterContext(time_machine.travel(NOON, tick=False))
        self.add_user()
        self.caller = self.process()

    def process(self, **overrides: object) -> Caller:
        """Start a process; return its client."""
        return InProcess(self.new_app(**overrides).test_client())

    def new_app(self, **overrides: object) -> Flask:
        """Create an app that has loaded no keys yet."""
        url = self.app.config["DATABASE_TEST_URL"]
        app = databases.bare_app(url, **(self.overrides | overrides))
        self.addCleanup(self.dispose, app)
        return app

    def dispose(self, app: Flask) -> None:
        """Close the connections of an app after its pending writes."""
        with app.app_context():
            last_seen.current().flush()
            db.engine.dispose()
            autocommit.engine.dispose()

    def token(self, caller: Caller | None = None) -> str:
        """Log in; return the access token."""
        reply = (caller or self.caller).login()
        self.assertEqual(reply.status, 200)
        token: str = reply.body["auth_token"]
        return token

    def key_set(self) -> list[dict[str, str]]:
        """Return the published keys."""
        published: list[dict[str, str]] = self.caller.get("/.well-known/jwks.json").body["keys"]
        return published

    def kids(self) -> list[str]:
        """Return the ids of the published keys."""
        return [key["kid"] for key in self.key_set()]

    def rotate(self) -> str:
        """Rotate the key as the command does; return the id of the new key."""
        with self.new_app().app_context():
            source.current().signing_key()
            made = source.current().rotate(datetime.now(UTC) + LEAD)
        assert made is not None
        return made

    def retire(self, kid: str) -> None:
        """Retire a key."""
        with self.app.app_context():
            signing_keys.retire(kid)

    def assert_accepted(self, token: str, *callers: Caller) -> None:
        """Assert that these processes accept a token."""
        for caller in callers or (self.caller,):
            self.assertEqual(caller.status(token).status, 200)

    def assert_rejected(self, token: str, *callers: Caller) -> None:
        """Assert that these processes reject a token."""
        for caller in callers or (self.caller,):
            self.assert_error(caller.status(token), 401, INVALID_TOKEN, "token_invalid")


def kid_of(token: str) -> str | None:
    """Return the key id in a token's header."""
    kid: str | None = jwt.get_unverified_header(token).get("kid")
    return kid
