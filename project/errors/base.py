"""The root of the errors."""

from typing import ClassVar, Self

REALM = 'Bearer realm="users"'


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
