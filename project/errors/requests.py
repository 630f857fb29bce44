"""Errors of requests that are malformed or match no route."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Self

from pydantic import Field

from project.errors.base import ServiceError


@dataclass(frozen=True)
class FieldError:
    """An error in one field of a request; it never contains the value that was sent."""

    field: Annotated[
        str, Field(description="The name of the field; empty for an error of the whole request.")
    ]
    code: str
    message: str


class InvalidPayload(ServiceError):
    """The body or the query has errors in one or more fields."""

    status = 400
    code = "invalid_payload"
    message = "Invalid payload."

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(self.message)
        self.errors = errors

    def body(self) -> dict[str, object]:
        """Return the envelope with every field error."""
        return super().body() | {"errors": [asdict(error) for error in self.errors]}

    @classmethod
    def example(cls) -> Self:
        """Return the error of a missing e-mail address."""
        return cls([FieldError("email", "missing", "This field is required.")])


class BadRequest(ServiceError):
    """The request is not valid HTTP, or its body is incomplete."""

    status = 400
    code = "bad_request"
    message = "Bad request."


class NotFound(ServiceError):
    """No route has this path."""

    status = 404
    code = "not_found"
    message = "Not found."


class MethodNotAllowed(ServiceError):
    """The path has other methods; the response lists them in `Allow`."""

    status = 405
    code = "method_not_allowed"
    message = "Method not allowed."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(self.message)
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        """Return the allowed methods (RFC 9110, section 15.5.6)."""
        return {"Allow": ", ".join(sorted(self.allowed))}


class PayloadTooLarge(ServiceError):
    """The body is larger than 16 kB."""

    status = 413
    code = "payload_too_large"
    message = "Payload too large."


class UnsupportedMediaType(ServiceError):
    """The body is not declared as uncompressed `application/json`."""

    status = 415
    code = "unsupported_media_type"
    message = "Unsupported media type. Send application/json."
