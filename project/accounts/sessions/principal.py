"""The principal: the authenticated user and session of a request."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """The active user and the open session of a token."""

    session_id: UUID
    id: int
    username: str
    email: str
    active: bool
    admin: bool
    created_at: datetime
    issued_at: datetime
    expires_at: datetime
    """When the token was issued and when it expires."""
    email_verified: bool
    authenticated_at: datetime | None
    """When the user last authenticated in this session."""
