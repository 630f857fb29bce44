"""Who a request is authenticated as."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token shows: an active user in a session that is open now."""

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
