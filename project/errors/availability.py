"""Errors of the service itself: internal errors, overload and outages."""

import random
from typing import ClassVar

from project.errors.base import ServiceError

RETRY_AFTER = 1
"""Seconds after which a client may retry when the database is unavailable."""


OVERLOADED_RETRY_AFTER = range(3, 9)
"""The same when the hashing queue is full: it takes about as long to hash a full queue."""


class InternalError(ServiceError):
    """The service has failed; the log has the traceback under the response's X-Request-ID."""

    status = 500
    code = "internal_error"
    message = "Try again."


class Unavailable(ServiceError):
    """The database does not respond; nothing was changed."""

    status = 503
    code = "unavailable"
    message = "Service unavailable. Try again later."

    def headers(self) -> dict[str, str]:
        """Return the seconds to wait (RFC 9110, section 10.2.3)."""
        return {"Retry-After": str(RETRY_AFTER)}


class Overloaded(Unavailable):
    """The queue of passwords to hash is full; nothing was changed."""

    code = "overloaded"
    message = "Too many logins at once. Try again later."

    def headers(self) -> dict[str, str]:
        """Return the seconds to wait, at random, so that clients do not retry at the same time."""
        return {"Retry-After": str(random.choice(OVERLOADED_RETRY_AFTER))}  # noqa: S311  # no secret


class TooManyTransfers(Overloaded):
    """The process sends as many files as it can without exhausting its connections."""

    message = "Too many transfers at once. Try again later."

    def headers(self) -> dict[str, str]:
        """Return the seconds to wait; the connection is closed, since others need it."""
        return super().headers() | {"Connection": "close"}


class NotReady(Unavailable):
    """The process cannot serve requests: the database does not respond in time."""

    code = "not_ready"
    message = "Not ready: the database does not answer."
    check: ClassVar[str] = "database"

    def body(self) -> dict[str, object]:
        """Return the envelope with the name of the failed check."""
        return super().body() | {"check": self.check}


class SchemaBehind(NotReady):
    """The database schema lacks a migration."""

    message = "Not ready: the database lacks a migration."
    check = "schema"


class SecretDiffers(NotReady):
    """The other servers have another SECRET_KEY, so they would reject tokens of this one."""

    message = "Not ready: the other servers have another SECRET_KEY."
    check = "secret"


class Draining(NotReady):
    """The server is shutting down and completes its running requests."""

    message = "Not ready: the server is about to end."
    check = "draining"
