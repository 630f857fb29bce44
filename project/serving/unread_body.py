"""Reads what is left of a request's body before its response is sent, and keeps none of it.

A response that is sent while its client is still sending can be lost with the connection: the
server has to close it, since it cannot find the next request in it. Many clients send the head and
the body apart, so this is common wherever a request is rejected before its body was looked at.
"""

from contextlib import suppress
from wsgiref.types import WSGIEnvironment

from werkzeug.wsgi import get_content_length, get_input_stream

from project.errors import BadRequest
from project.limits import BODY_PIECE
from project.serving.broken_bodies import raised_as

MAX_DISCARDED = 2 * 1024 * 1024
"""Bytes of a body that are read and dropped; a longer one costs its client the connection."""


def may_be_left(environ: WSGIEnvironment) -> bool:
    """Tell whether the request has a body at all; cheap, since every request is asked."""
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


def give_an_end(environ: WSGIEnvironment) -> None:
    """Have the body's stream end with the body, where the server does not see to that."""
    environ["wsgi.input"] = get_input_stream(environ)
    environ["wsgi.input_terminated"] = True


def discard(environ: WSGIEnvironment) -> None:
    """Read the rest of the body; what is too long, or breaks off, is left as it is.

    A client that waits for `100 Continue` gets it by this, and so sends its body for nothing; its
    connection lives on.
    """
    if (get_content_length(environ) or 0) > MAX_DISCARDED:
        return
    left, stream = MAX_DISCARDED, environ["wsgi.input"]
    with suppress(BadRequest), raised_as(BadRequest):
        while left > 0 and (piece := stream.read(BODY_PIECE)):
            left -= len(piece)
