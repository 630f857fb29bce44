"""Discarding of unread request bodies before the response is sent.

A response can get lost if it arrives while the client is still sending its body. The server then
has to close the connection, since it does not know where the next request begins. Many clients send
header fields and body separately, so this is common for requests that are rejected before their
body is read.
"""

from contextlib import suppress
from wsgiref.types import WSGIEnvironment

from werkzeug.wsgi import get_content_length, get_input_stream

from project.errors import BadRequest
from project.limits import BODY_PIECE
from project.serving.broken_bodies import raised_as

MAX_DISCARDED = 2 * 1024 * 1024
"""Bytes of a body that are read and discarded. After a longer body the connection is closed."""


def has_body(environ: WSGIEnvironment) -> bool:
    """Return whether the request has a body. The check is cheap, since it runs for all requests."""
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


def limit_stream(environ: WSGIEnvironment) -> None:
    """Make the input stream end with the body, for servers that do not ensure it."""
    environ["wsgi.input"] = get_input_stream(environ)
    environ["wsgi.input_terminated"] = True


def discard(environ: WSGIEnvironment) -> None:
    """Read and discard the rest of the body. A body that is too long or incomplete is left unread.

    Reading sends `100 Continue` to a client that waits for it. Such a client sends its body in
    vain, but keeps its connection.
    """
    if (get_content_length(environ) or 0) > MAX_DISCARDED:
        return
    remaining, stream = MAX_DISCARDED, environ["wsgi.input"]
    with suppress(BadRequest), raised_as(BadRequest):
        while remaining > 0 and (chunk := stream.read(BODY_PIECE)):
            remaining -= len(chunk)
