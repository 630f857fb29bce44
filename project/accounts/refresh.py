"""Refreshing: new tokens for a session, by a token that says which generation it is of.

Nothing secret is kept: a generation that is signed cannot be guessed. Two tabs that refresh at once
are not a thief, so the token of one generation ago still gets the current tokens for a short while;
an older one, or a later time, means that two parties have it (RFC 9700, section 4.14.2).
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, bindparam, select, update

from project.accounts import grants, keyring, sessions, throttle
from project.accounts.audit import Event
from project.accounts.clients import Client
from project.accounts.grants import Grant
from project.api.models import Session, User
from project.clock import utcnow
from project.database.prepared import Prepared
from project.errors import RefreshReused
from project.extensions import db
from project.security.tokens import Claims, Purpose

GRACE = timedelta(seconds=30)
"""How long the token of the generation before is still answered."""

BY_SESSION = Prepared(
    select(
        Session.user_id, Session.generation, Session.refreshed_at, Session.expires_at,
        Session.ended_at, User.active, sessions.KEY_RETIRED,
    )
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"))
)  # fmt: skip


SessionRow = Row[int, int, datetime, datetime, datetime | None, bool, bool]


def refresh(token: str, client: Client) -> Grant:
    """Return new tokens for a refresh token.

    Raises TokenInvalid, TokenExpired, SessionEnded, UserInactive, TooManyAttempts, or
    RefreshReused, which ends the session.
    """
    claims = User.decode_auth_token(token, Purpose.REFRESH)
    assert claims.generation is not None
    session: SessionRow = sessions.admit(claims, BY_SESSION)
    keyring.current().prepare()
    if session.generation == claims.generation:
        throttle.count_write(claims.user_id, client)
        if _advance(claims):
            return _grant(claims.session_id, session, claims.generation + 1)
        session = sessions.admit(claims, BY_SESSION)  # another request was faster
    if _is_late(claims.generation, session, utcnow()):
        sessions.end(claims.user_id, claims.session_id, client, Event.REFRESH_REUSED)
        raise RefreshReused
    return _grant(claims.session_id, session, session.generation)


def _advance(claims: Claims) -> bool:
    """Go one generation on, unless somebody has: one compare-and-swap."""
    now = utcnow()
    this_generation = update(Session).where(
        Session.id == claims.session_id,
        Session.generation == claims.generation,
        Session.ended_at.is_(None),
    )
    advanced = this_generation.values(
        generation=Session.generation + 1, refreshed_at=now, last_seen_at=now
    )
    found = db.session.scalar(advanced.returning(Session.id))
    db.session.commit()
    return found is not None


def _is_late(generation: int, session: SessionRow, now: datetime) -> bool:
    one_behind = session.generation == generation + 1
    return not one_behind or now - session.refreshed_at > GRACE


def _grant(session_id: UUID, session: SessionRow, generation: int) -> Grant:
    return grants.make(session.user_id, session_id, generation, session.expires_at)
