"""Errors of authentication and authorization."""

from typing import ClassVar, Self

from project.errors.base import REALM, ServiceError


class Unauthorized(ServiceError):
    """The caller is not authenticated, or not authorized."""

    status = 401
    challenge: ClassVar[str | None] = "invalid_token"
    """The error code of the challenge (RFC 6750, section 3.1); None where no token was sent."""

    def headers(self) -> dict[str, str]:
        """Return the challenge (RFC 6750, section 3)."""
        error = f', error="{self.challenge}"' if self.challenge else ""
        return {"WWW-Authenticate": REALM + error}


class TokenMissing(Unauthorized):
    """The request has no Authorization header."""

    code = "token_missing"
    message = "Provide a valid auth token."
    challenge = None


class LogoutTokenMissing(TokenMissing):
    """The logout request has no Authorization header; its clients expect 403."""

    status = 403


class TokenInvalid(Unauthorized):
    """The token is malformed, forged or for another purpose."""

    code = "token_invalid"
    message = "Invalid token. Please log in again."


class TokenBlank(TokenInvalid):
    """The Authorization header has no bearer token."""

    challenge = None


class SessionEnded(TokenInvalid):
    """The token's session has ended, or its user was deleted."""

    code = "session_ended"


class RefreshReused(SessionEnded):
    """The refresh token was reused, so it may be stolen; its session has ended."""

    code = "refresh_reused"


class TokenExpired(Unauthorized):
    """The token has expired."""

    code = "token_expired"
    message = "Signature expired. Please log in again."


class UserInactive(Unauthorized):
    """The token is valid and its user is not active."""

    code = "user_inactive"
    message = "Something went wrong. Please contact us."


class NotPermitted(Unauthorized):
    """The caller is authenticated and not authorized."""

    code = "not_permitted"
    message = "You do not have permission to do that."
    challenge = "insufficient_scope"


class ReauthenticationRequired(Unauthorized):
    """The operation requires a recent authentication; `max_age` is its window in seconds."""

    code = "reauthentication_required"
    message = "Please confirm your password first."
    challenge = "insufficient_user_authentication"

    def __init__(self, max_age: int) -> None:
        super().__init__(self.message)
        self.max_age = max_age

    def headers(self) -> dict[str, str]:
        """Return the challenge with the window (RFC 9470, section 3)."""
        challenge = super().headers()["WWW-Authenticate"]
        return {"WWW-Authenticate": f"{challenge}, max_age={self.max_age}"}

    @classmethod
    def example(cls) -> Self:
        """Return the error under the default window."""
        return cls(600)


class InvalidCredentials(ServiceError):
    """The e-mail address or the password is wrong; the response does not disclose which."""

    status = 404
    code = "invalid_credentials"
    message = "User does not exist."


class PasswordReplaced(InvalidCredentials):
    """The password was right, and was changed or hashed again before the session started."""


class TooManyAttempts(ServiceError):
    """The caller has exceeded a rate limit; the response does not disclose whether a user exists.

    `policy` names the limit, of `quota` attempts in `window` seconds. The next attempt is allowed
    after `wait` seconds.
    """

    status = 429
    code = "rate_limited"
    message = "Too many attempts. Try again later."

    def __init__(self, policy: str, quota: int, window: int, wait: int) -> None:
        super().__init__(self.message)
        self.policy, self.quota, self.window, self.wait = policy, quota, window, wait

    def headers(self) -> dict[str, str]:
        """Return the seconds to wait and the limit (draft-ietf-httpapi-ratelimit-headers-10)."""
        return {
            "Retry-After": str(self.wait),
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={self.window}',
            "RateLimit": f'"{self.policy}";r=0;t={self.wait}',
        }

    @classmethod
    def example(cls) -> Self:
        """Return the error of a network that has to wait for 30 seconds."""
        return cls("network", quota=20, window=900, wait=30)
