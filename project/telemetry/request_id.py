"""The request's id: the same in the answer and in every line of the log."""

import re
from uuid import uuid4

from flask import g, has_app_context, request

HEADER = "X-Request-ID"
ACCEPTED = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)


def request_id() -> str:
    """Return the caller's id for this request if it is well formed, else a new one."""
    found: str | None = g.get("request_id")
    if found is None:
        sent = request.headers.get(HEADER, "")
        g.request_id = found = sent if ACCEPTED.fullmatch(sent) else uuid4().hex
    return found


def known() -> str | None:
    """Return the id of the request that is being answered; None where there is none.

    A command has a request too, by Flask-Script, and nobody who asked.
    """
    return g.get("request_id") if has_app_context() else None
