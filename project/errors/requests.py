"""Errors of requests that cannot be served as they are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from project.errors.base import ServiceError


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
