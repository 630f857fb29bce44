"""The actor of a request: its address, its user agent and its user."""

from uuid import UUID

from flask import g, request

from project.accounts.actors import LONGEST_USER_AGENT, Client
from project.http.client_address import address


def identified(user_id: int, session_id: UUID) -> None:
    """Remember whose token the request has, for its log line and the audit trail."""
    g.user_id, g.session_id = user_id, session_id


def client() -> Client:
    """Return the request's client; what it says of itself is cut and cleaned, not believed."""
    said = request.headers.get("User-Agent", "")[:LONGEST_USER_AGENT]
    visible = "".join(character for character in said if character.isprintable())
    return Client(address=address(), user_agent=visible, user_id=g.get("user_id"))
