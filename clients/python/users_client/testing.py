"""A verifier for the tests of a service: it accepts the tokens a test makes, and sends nothing."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

from users_client.errors import ServiceUnavailable, TokenRefused
from users_client.tokens import Principal, UserPrincipal
from users_client.verifier import Verifier

LIFETIME = timedelta(minutes=30)


class FakeVerifier(Verifier):
    """Takes the place of a Verifier; `available` set to False is a users service that is away."""

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
        """Return the access token of a user in a new session; the user is whatever is said here."""
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
        """Return whose the token is. Raises TokenRefused or ServiceUnavailable."""
        return self.fetch_user(token)

    def fetch_user(self, token: str) -> UserPrincipal:
        """Return whose the token is. Raises TokenRefused or ServiceUnavailable."""
        if not self.available:
            raise ServiceUnavailable("the test says so")
        user = self._users.get(token)
        if user is None:
            raise TokenRefused("token_invalid")
        if token in self._ended:
            raise TokenRefused("session_ended")
        if user.expires_at <= datetime.now(UTC):
            raise TokenRefused("token_expired")
        return user

    def check(self) -> None:
        """Raise ServiceUnavailable where the service is away."""
        if not self.available:
            raise ServiceUnavailable("the test says so")
