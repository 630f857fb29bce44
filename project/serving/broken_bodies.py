"""Translation of the exceptions that a server raises while a request body is read."""

from collections.abc import Iterator
from contextlib import contextmanager

from project.errors import ServiceError


@contextmanager
def raised_as(error: type[ServiceError]) -> Iterator[None]:
    """Raise this error in place of any exception of the block that is not a ServiceError.

    Use it only for reading `wsgi.input`. Each server raises its own exceptions for a broken chunk,
    and those of gunicorn have no common base class but Exception.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as raised:
        raise error from raised
