"""What a client gets for an open session: two tokens, and how long each lives."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import current_app

from project.api.models import User
from project.clock import utcnow
from project.security.tokens import Claims, Purpose


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of a session, with their lives in seconds."""

    auth_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


def make(user_id: int, session_id: UUID, generation: int, ends_at: datetime) -> Grant:
    """Return new tokens of a session; neither outlives it."""
    now = utcnow()
    access = Claims(
        user_id=user_id,
        session_id=session_id,
        purpose=Purpose.ACCESS,
        issued_at=now,
        expires_at=min(now + current_app.config["TOKEN_LIFETIME"], ends_at),
    )
    refresh = Claims(
        user_id=user_id,
        session_id=session_id,
        purpose=Purpose.REFRESH,
        issued_at=now,
        expires_at=min(now + current_app.config["SESSION_IDLE_LIFETIME"], ends_at),
        generation=generation,
    )
    return Grant(
        auth_token=User.encode_auth_token(access),
        expires_in=_seconds(access),
        refresh_token=User.encode_auth_token(refresh),
        refresh_expires_in=_seconds(refresh),
    )


def _seconds(claims: Claims) -> int:
    return int((claims.expires_at - claims.issued_at).total_seconds())
