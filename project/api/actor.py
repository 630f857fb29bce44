"""The actor of a request: its address, its user agent and its user."""

from uuid import UUID

from flask import g, request

from project.accounts.actors import MAX_USER_AGENT, Actor
from project.http.client_address import address


def identified(user_id: int, session_id: UUID) -> None:
    """Remember whose token the request has, for its log line and the audit trail."""
    g.user_id, g.session_id = user_id, session_id


def actor() -> Actor:
    """Return the request's client; what it says of itself is cut and cleaned, not believed."""
    said = request.headers.get("User-Agent", "")[:MAX_USER_AGENT]
    visible = "".join(character for character in said if character.isprintable())
    return Actor(address=address(), user_agent=visible, user_id=g.get("user_id"))
