"""The actor of a request: its address, its user agent and its user."""

from uuid import UUID

from flask import g, request

from project.accounts.actors import MAX_USER_AGENT, Actor
from project.http.client_address import address


def set_user(user_id: int, session_id: UUID) -> None:
    """Set the user and the session of the request, for its log line and the audit trail."""
    g.user_id, g.session_id = user_id, session_id


def actor() -> Actor:
    """Return the request's actor; its user agent is shortened and has no control characters."""
    sent = request.headers.get("User-Agent", "")[:MAX_USER_AGENT]
    printable = "".join(character for character in sent if character.isprintable())
    return Actor(address=address(), user_agent=printable, user_id=g.get("user_id"))
