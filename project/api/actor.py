"""The actor of a request: its address, its user agent and its user."""

import re
from uuid import UUID

from flask import g, request

from project.accounts.actors import MAX_USER_AGENT, Actor
from project.http.client_address import address

LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4})?", re.ASCII)


def identified(user_id: int, session_id: UUID) -> None:
    """Remember whose token the request has, for its log line and the audit trail."""
    g.user_id, g.session_id = user_id, session_id


def preferred_language() -> str:
    """Return the language that the request prefers, or an empty text."""
    best: str = request.accept_languages.best or ""
    return best if LANGUAGE.fullmatch(best) else ""


def actor() -> Actor:
    """Return the request's client; what it says of itself is cut and cleaned, not believed."""
    said = request.headers.get("User-Agent", "")[:MAX_USER_AGENT]
    visible = "".join(character for character in said if character.isprintable())
    language = preferred_language()
    return Actor(address(), visible, g.get("user_id"), language)
