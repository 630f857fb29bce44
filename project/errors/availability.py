"""Errors of the service itself."""

import random
from typing import ClassVar

from project.errors.base import ServiceError

RETRY_AFTER = 1
"""Seconds after which a client may try again when the service was unavailable."""


OVERLOADED_RETRY_AFTER = range(3, 9)
"""The same where too many passwords are being hashed: about as long as a queue of ours takes."""


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


class NotReady(Unavailable):
    """No request should be sent here now, since the database does not answer in time."""

    code = "not_ready"
    message = "Not ready: the database does not answer."
    check: ClassVar[str] = "database"

    def body(self) -> dict[str, object]:
        """Return the envelope with the name of the check that failed."""
        return super().body() | {"check": self.check}


class SchemaBehind(NotReady):
    """The database lacks a migration."""

    message = "Not ready: the database lacks a migration."
    check = "schema"


class SecretDiffers(NotReady):
    """The other servers have another SECRET_KEY, and would reject this one's tokens."""

    message = "Not ready: the other servers have another SECRET_KEY."
    check = "secret"


class Draining(NotReady):
    """The server was told to end, and finishes what it has begun."""

    message = "Not ready: the server is about to end."
    check = "draining"
