"""Who is at the other end of a request, as far as it can be told."""

from flask import request

from project.accounts.sessions import LONGEST_USER_AGENT, Client
from project.security.identifiers import is_visible


def client() -> Client:
    """Return the request's client; what it says of itself is cut and cleaned, not believed."""
    said = request.headers.get("User-Agent", "")[:LONGEST_USER_AGENT]
    visible = "".join(character for character in said if is_visible(character))
    return Client(address=request.remote_addr or "", user_agent=visible)
