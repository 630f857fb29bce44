"""Every refusal of the service; those that only other services get are in `services`.

The family; each member has a status, a code and a message, and is raised where the fault is found:

    ServiceError
    ├── InvalidPayload          400 invalid_payload, with one entry in `errors` for each fault
    ├── BadRequest              400 bad_request
    ├── UserExists              400 user_exists
    │   └── EmailExists         400 email_exists
    ├── Unauthorized            401, with the challenge of RFC 6750
    │   ├── TokenMissing        401 token_missing
    │   │   └── LogoutTokenMissing  403 token_missing
    │   ├── TokenInvalid        401 token_invalid
    │   │   ├── TokenBlank      401 token_invalid: a header without a token
    │   │   └── SessionEnded    401 session_ended
    │   │       └── RefreshReused   401 refresh_reused
    │   ├── TokenExpired        401 token_expired
    │   ├── UserInactive        401 user_inactive
    │   └── NotPermitted        401 not_permitted
    ├── InvalidCredentials      404 invalid_credentials
    ├── UserNotFound            404 user_not_found
    ├── SessionNotFound         404 session_not_found
    ├── NotFound                404 not_found
    ├── RefreshSuperseded       409 refresh_superseded: the session goes on
    ├── MethodNotAllowed        405 method_not_allowed
    ├── PayloadTooLarge         413 payload_too_large
    ├── UnsupportedMediaType    415 unsupported_media_type
    ├── TooManyAttempts         429 rate_limited, with the time to wait
    ├── InternalError           500 internal_error: a fault of ours
    └── Unavailable             503 unavailable: the database does not answer
        ├── Overloaded          503 overloaded: too many passwords are being hashed
        └── NotReady            503 not_ready: told to a load balancer, by readiness.py
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

REALM = 'Bearer realm="users"'
RETRY_AFTER = 1
"""Seconds after which a client may try again when the service was unavailable."""
OVERLOADED_RETRY_AFTER = range(3, 9)
"""The same where too many passwords are being hashed: about as long as a queue of ours takes."""


class ServiceError(Exception):
    """A refusal: what the client is told."""

    status: ClassVar[int]
    code: ClassVar[str]
    message: ClassVar[str]

    def body(self) -> dict[str, object]:
        """Return the JSON envelope."""
        return {"status": "error", "message": self.message, "code": self.code}

    def headers(self) -> dict[str, str]:
        """Return the header fields that belong to this refusal."""
        return {}

    @classmethod
    def example(cls) -> Self:
        """Return an error of this class as the API document shows it."""
        return cls()


@dataclass(frozen=True)
class FieldError:
    """One error in a payload; it never holds the value that was sent."""

    field: str
    code: str
    message: str


class InvalidPayload(ServiceError):
    """The body or the query is not what the route takes."""

    status = 400
    code = "invalid_payload"
    message = "Invalid payload."

    def __init__(self, faults: Sequence[FieldError]) -> None:
        super().__init__(self.message)
        self.faults = faults

    def body(self) -> dict[str, object]:
        """Return the envelope with every fault in it."""
        return super().body() | {"errors": [asdict(fault) for fault in self.faults]}

    @classmethod
    def example(cls) -> Self:
        """Return the error of a request without an e-mail address."""
        return cls([FieldError("email", "missing", "This field is required.")])


class BadRequest(ServiceError):
    """The request cannot be read as HTTP."""

    status = 400
    code = "bad_request"
    message = "Bad request."


class UserExists(ServiceError):
    """The e-mail address or the username belongs to an account."""

    status = 400
    code = "user_exists"
    message = "Sorry. That user already exists."


class EmailExists(UserExists):
    """The e-mail address belongs to an account; told to administrators alone."""

    code = "email_exists"
    message = "Sorry. That email already exists."


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


class UserNotFound(ServiceError):
    """No account has this id."""

    status = 404
    code = "user_not_found"
    message = "User does not exist"


class SessionNotFound(ServiceError):
    """The caller has no open session of this id."""

    status = 404
    code = "session_not_found"
    message = "Session does not exist."


class RefreshSuperseded(ServiceError):
    """The refresh token was replaced, and was accepted often enough since; its session goes on."""

    status = 409
    code = "refresh_superseded"
    message = "This refresh token was replaced. Use the current one."


class NotFound(ServiceError):
    """Nothing is served at this path."""

    status = 404
    code = "not_found"
    message = "Not found."


class MethodNotAllowed(ServiceError):
    """The path is served, by other methods; `Allow` names them."""

    status = 405
    code = "method_not_allowed"
    message = "Method not allowed."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(self.message)
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        """Return the methods that are served (RFC 9110, section 15.5.6)."""
        return {"Allow": ", ".join(sorted(self.allowed))}


class PayloadTooLarge(ServiceError):
    """The body is larger than any request of ours."""

    status = 413
    code = "payload_too_large"
    message = "Payload too large."


class UnsupportedMediaType(ServiceError):
    """The body is not said to be plain `application/json`."""

    status = 415
    code = "unsupported_media_type"
    message = "Unsupported media type. Send application/json."


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


class InternalError(ServiceError):
    """A fault of ours; the log has it under the answer's X-Request-ID."""

    status = 500
    code = "internal_error"
    message = "Try again."


class Unavailable(ServiceError):
    """The database does not answer; nothing was done."""

    status = 503
    code = "unavailable"
    message = "Service unavailable. Try again later."

    def headers(self) -> dict[str, str]:
        """Return when to try again, in seconds (RFC 9110, section 10.2.3)."""
        return {"Retry-After": str(RETRY_AFTER)}


class Overloaded(Unavailable):
    """So many passwords are being hashed that another one would wait too long; nothing was done."""

    code = "overloaded"
    message = "Too many logins at once. Try again later."

    def headers(self) -> dict[str, str]:
        """Return when to try again: when the queue has moved on, and not everybody at once."""
        return {"Retry-After": str(random.choice(OVERLOADED_RETRY_AFTER))}  # noqa: S311  # no secret
