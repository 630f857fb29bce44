"""The actor of a request: its address, its user agent and its user."""

import re
from uuid import UUID

from flask import g, request

from project.accounts.actors import MAX_USER_AGENT, Actor
from project.http.client_address import address

LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4})?", re.ASCII)


def set_user(user_id: int, session_id: UUID) -> None:
    """Set the user and the session of the request, for its log line and the audit trail."""
    g.user_id, g.session_id = user_id, session_id


def preferred_language() -> str:
    """Return the language that the request prefers, or an empty text."""
    best: str = request.accept_languages.best or ""
    return best if LANGUAGE.fullmatch(best) else ""


def actor() -> Actor:
    """Return the request's actor; its user agent is shortened and has no control characters."""
    sent = request.headers.get("User-Agent", "")[:MAX_USER_AGENT]
    printable = "".join(character for character in sent if character.isprintable())
    return Actor(address(), printable, g.get("user_id"), preferred_language())
