"""The errors of a verifier, each with the response that the users service itself would send.

The family:

    VerifierError
    ├── TokenRejected            401, with a code of the users service
    ├── NotPermitted            403 not_permitted
    └── ServiceUnavailable      503 unavailable
        └── ServiceTokenRejected    503 unavailable; the text names the remedy
"""

from typing import ClassVar

MESSAGES = {
    "token_missing": "Provide a valid auth token.",
    "token_invalid": "Invalid token. Please log in again.",
    "token_expired": "Signature expired. Please log in again.",
    "session_ended": "Invalid token. Please log in again.",
    "user_inactive": "Something went wrong. Please contact us.",
}
RETRY_AFTER = 1
"""Seconds after which a client may retry if the service was unavailable."""


class VerifierError(Exception):
    """The base class: an error with a response. Its text is for the log and contains no token."""

    status: ClassVar[int]
    code: str
    message: str

    def body(self) -> dict[str, str]:
        """Return the JSON envelope."""
        return {"status": "error", "message": self.message, "code": self.code}

    def headers(self) -> dict[str, str]:
        """Return the header fields that belong to this error."""
        return {}


class TokenRejected(VerifierError):
    """The token is missing or not valid; `code` is the reason.

    One of `token_missing`, `token_invalid`, `token_expired`, `session_ended`, `user_inactive`.
    A code that this version does not know becomes `token_invalid`.
    """

    status = 401

    def __init__(self, code: str, reason: str = "", *, sent: bool = True) -> None:
        super().__init__(reason or code)
        self.code = code if code in MESSAGES else "token_invalid"
        self.message = MESSAGES[self.code]
        self.sent = sent

    def headers(self) -> dict[str, str]:
        """Return the challenge; it names no error where no token was sent (RFC 6750, section 3)."""
        return {"WWW-Authenticate": 'Bearer error="invalid_token"' if self.sent else "Bearer"}


class NotPermitted(VerifierError):
    """The token is valid, but its user lacks the permission."""

    status = 403
    code = "not_permitted"
    message = "You do not have permission to do that."

    def headers(self) -> dict[str, str]:
        """Return the challenge (RFC 6750, section 3.1)."""
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


class ServiceUnavailable(VerifierError):
    """The token cannot be verified at the moment, so it is rejected."""

    status = 503
    code = "unavailable"
    message = "Service unavailable. Try again later."

    def headers(self) -> dict[str, str]:
        """Return the Retry-After field, in seconds (RFC 9110, section 10.2.3)."""
        return {"Retry-After": str(RETRY_AFTER)}


class ServiceTokenRejected(ServiceUnavailable):
    """The users service rejects the service token."""

    def __init__(self) -> None:
        super().__init__(
            "the users service rejects the service token: make one with make_service_token, and "
            "add its digest to SERVICE_TOKENS of the users service"
        )
