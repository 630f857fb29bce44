"""The request id, which is in the response and in every log line of a request."""

import re
from uuid import uuid4

from flask import g, has_app_context, request

HEADER = "X-Request-ID"
ACCEPTED = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)


def request_id() -> str:
    """Return the id of this request: the caller's if it is well formed, otherwise a new one."""
    found: str | None = g.get("request_id")
    if found is None:
        sent = request.headers.get(HEADER, "")
        g.request_id = found = sent if ACCEPTED.fullmatch(sent) else uuid4().hex
    return found


def current() -> str | None:
    """Return the id of the current request, if `request_id` has been called for it.

    Flask-Script gives commands a request context too, but no request id.
    """
    return g.get("request_id") if has_app_context() else None
