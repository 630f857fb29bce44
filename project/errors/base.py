"""The base class of all errors."""

from typing import ClassVar, Self

REALM = 'Bearer realm="users"'


class ServiceError(Exception):
    """An error with the response that the client gets."""

    status: ClassVar[int]
    code: ClassVar[str]
    message: ClassVar[str]

    def body(self) -> dict[str, object]:
        """Return the JSON envelope of the response."""
        return {"status": "error", "message": self.message, "code": self.code}

    def headers(self) -> dict[str, str]:
        """Return the header fields of the response."""
        return {}

    @classmethod
    def example(cls) -> Self:
        """Return an example for the API document."""
        return cls()
