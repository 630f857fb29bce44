"""Errors of authentication and authorization."""

from typing import ClassVar, Self

from project.errors.base import REALM, ServiceError


class Unauthorized(ServiceError):
    """The caller has not shown who it is, or may not do this."""

    status = 401
    challenge: ClassVar[str | None] = "invalid_token"
    """The error code of RFC 6750, section 3.1; None where no token was sent (section 3)."""

    def headers(self) -> dict[str, str]:
        """Return the challenge."""
        error = f', error="{self.challenge}"' if self.challenge else ""
        return {"WWW-Authenticate": REALM + error}


class TokenMissing(Unauthorized):
    """There is no Authorization header."""

    code = "token_missing"
    message = "Provide a valid auth token."
    challenge = None


class LogoutTokenMissing(TokenMissing):
    """There is no Authorization header at logout, which has always answered 403."""

    status = 403


class TokenInvalid(Unauthorized):
    """The token is malformed, forged or for another purpose."""

    code = "token_invalid"
    message = "Invalid token. Please log in again."


class TokenBlank(TokenInvalid):
    """There is an Authorization header without a bearer token in it."""

    challenge = None


class SessionEnded(TokenInvalid):
    """The token's session was ended, or is gone with its user."""

    code = "session_ended"


class RefreshReused(SessionEnded):
    """A refresh token was used again too late; two may have it, so its session has been ended."""

    code = "refresh_reused"


class TokenExpired(Unauthorized):
    """The token's time has passed."""

    code = "token_expired"
    message = "Signature expired. Please log in again."


class UserInactive(Unauthorized):
    """The token is good and its user is not active."""

    code = "user_inactive"
    message = "Something went wrong. Please contact us."


class NotPermitted(Unauthorized):
    """The caller is known and may not do this."""

    code = "not_permitted"
    message = "You do not have permission to do that."
    challenge = "insufficient_scope"


class InvalidCredentials(ServiceError):
    """No account has this e-mail address with this password; which of the two is not told."""

    status = 404
    code = "invalid_credentials"
    message = "User does not exist."


class PasswordReplaced(InvalidCredentials):
    """The password was right, and was changed or hashed again before the session started."""


class TooManyAttempts(ServiceError):
    """Too many attempts were made; of what kind they were is told, and not whether anybody exists.

    `policy` names the limit, `quota` and `window` are its number of attempts and its seconds, and
    `wait` is when to try again, in seconds.
    """

    status = 429
    code = "rate_limited"
    message = "Too many attempts. Try again later."

    def __init__(self, policy: str, quota: int, window: int, wait: int) -> None:
        super().__init__(self.message)
        self.policy, self.quota, self.window, self.wait = policy, quota, window, wait

    def headers(self) -> dict[str, str]:
        """Return when to try again, and the limit (draft-ietf-httpapi-ratelimit-headers-10)."""
        return {
            "Retry-After": str(self.wait),
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={self.window}',
            "RateLimit": f'"{self.policy}";r=0;t={self.wait}',
        }

    @classmethod
    def example(cls) -> Self:
        """Return the error of a network that has to wait for half a minute."""
        return cls("network", quota=20, window=900, wait=30)
