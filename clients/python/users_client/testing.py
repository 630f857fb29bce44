"""A verifier for tests: it accepts the tokens that a test creates, and sends no request."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

from users_client.errors import ServiceUnavailable, TokenRejected
from users_client.tokens import Principal, UserPrincipal
from users_client.verifier import Verifier

LIFETIME = timedelta(minutes=30)


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
