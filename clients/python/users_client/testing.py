"""For tests: a verifier that accepts the tokens that a test creates, and a reader of sent mail."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from users_client.errors import ServiceUnavailable, TokenRejected
from users_client.service import Service
from users_client.tokens import Principal, UserPrincipal
from users_client.verifier import Verifier

LIFETIME = timedelta(minutes=30)
POLL_INTERVAL = 0.1
"""Seconds between two requests for mail."""


class FakeVerifier(Verifier):
    """Replaces a Verifier. Set `available` to False to simulate an outage of the users service."""

    def __init__(self) -> None:
        super().__init__("http://users.invalid")
        self.available = True
        self._users: dict[str, UserPrincipal] = {}
        self._ended: set[str] = set()
        self._numbers = count(1)

    def add_user(
        self,
        username: str = "ada",
        email: str = "ada@example.com",
        *,
        admin: bool = False,
        user_id: int | None = None,
        lifetime: timedelta = LIFETIME,
    ) -> str:
        """Create a user with a session, and return the access token."""
        now = datetime.now(UTC)
        token = f"fake-{uuid4().hex}"
        number = next(self._numbers) if user_id is None else user_id
        self._users[token] = UserPrincipal(
            number, uuid4().hex, uuid4().hex, now, now + lifetime, username, email, admin
        )
        return token

    def end_session(self, token: str) -> None:
        """End the token's session, as a logout does."""
        self._ended.add(token)

    def verify(self, token: str) -> Principal:
        """Return the principal of the token. Raises TokenRejected or ServiceUnavailable."""
        return self.fetch_user(token)

    def fetch_user(self, token: str) -> UserPrincipal:
        """Return the principal of the token. Raises TokenRejected or ServiceUnavailable."""
        if not self.available:
            raise ServiceUnavailable("made unavailable by the test")
        user = self._users.get(token)
        if user is None:
            raise TokenRejected("token_invalid")
        if token in self._ended:
            raise TokenRejected("session_ended")
        if user.expires_at <= datetime.now(UTC):
            raise TokenRejected("token_expired")
        return user

    def check(self) -> None:
        """Raise ServiceUnavailable if `available` is False."""
        if not self.available:
            raise ServiceUnavailable("made unavailable by the test")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that the users service has sent; `code` and `link` are None where it has none."""

    id: str
    to: str
    kind: str
    subject: str
    text: str
    code: str | None
    link: str | None


class Mailbox:
    """Reads the mail of a users service in development, whose MAIL_URL is `folder:`."""

    def __init__(self, url: str) -> None:
        self._service = Service(url)

    def messages(self, to: str) -> list[Mail]:
        """Return the mails to an address, newest first. Raises ServiceUnavailable."""
        response = self._service.get(f"/auth/dev/mail?to={quote(to)}")
        data: Any = response.member("data")
        if response.status != 200:
            raise ServiceUnavailable("/auth/dev/mail: served in development and testing only")
        return [Mail(**{name: one[name] for name in Mail.__slots__}) for one in data["messages"]]

    def wait_for(self, to: str, kind: str | None = None, timeout: float = 10.0) -> Mail:
        """Return the newest mail to an address, of this kind if given. Raises TimeoutError."""
        ends_at = time.monotonic() + timeout
        while time.monotonic() < ends_at:
            for mail in self.messages(to):
                if kind in (None, mail.kind):
                    return mail
            time.sleep(POLL_INTERVAL)
        raise TimeoutError(f"no mail to {to} in {timeout} seconds")

    def close(self) -> None:
        """Close all idle connections."""
        self._service.close()
