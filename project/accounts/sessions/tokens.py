"""The token pair of a session: access token and refresh token."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from flask import current_app

from project.accounts.signing_keys import source
from project.clock import utcnow
from project.models import User
from project.security.signing_keys import Key
from project.security.tokens import Claims, Purpose


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The token pair of a session, with lifetimes in seconds."""

    auth_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


@dataclass(frozen=True, slots=True)
class LoginTokens(IssuedTokens):
    """The token pair after a login with a password, with a device token."""

    device_token: str


def issue(
    user_id: int, session_id: UUID, generation: int, ends_at: datetime, key: Key
) -> IssuedTokens:
    """Return a new token pair, its access token signed by `key`; no token outlives the session."""
    now = utcnow()

    def claims(purpose: Purpose, lifetime: timedelta) -> Claims:
        return Claims(user_id, session_id, purpose, now, min(now + lifetime, ends_at))

    access = claims(Purpose.ACCESS, current_app.config["TOKEN_LIFETIME"])
    access = replace(access, token_id=source.current().new_token_id(session_id, key))
    refresh = claims(Purpose.REFRESH, current_app.config["SESSION_IDLE_LIFETIME"])
    refresh = replace(refresh, generation=generation)
    return IssuedTokens(
        auth_token=User.encode_auth_token(access, key),
        expires_in=_seconds(access),
        refresh_token=User.encode_auth_token(refresh),
        refresh_expires_in=_seconds(refresh),
    )


def _seconds(claims: Claims) -> int:
    return int((claims.expires_at - claims.issued_at).total_seconds())
