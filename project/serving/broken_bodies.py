"""What a server raises while a body is read becomes an error of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from project.errors import ServiceError


@contextmanager
def raised_as(error: type[ServiceError]) -> Iterator[None]:
    """Raise whatever the block raises as this error.

    For reading from `wsgi.input` alone: of a broken chunk every server makes exceptions of its
    own, gunicorn's have no common ancestor but Exception.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as raised:
        raise error from raised
