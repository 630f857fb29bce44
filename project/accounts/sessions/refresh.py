"""Refresh: exchange a refresh token for new tokens of its session.

A refresh token contains its generation. Nothing secret is stored, since a signed generation cannot
be guessed. Two tabs may refresh at the same time, so the token of the previous generation still
gets the current tokens, for a grace period and a few times. Any other old token means that two
parties have it, and ends the session (RFC 9700, section 4.14.2).
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, bindparam, select, update

from project.accounts import audit, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.sessions import tokens
from project.accounts.sessions.tokens import IssuedTokens
from project.accounts.signing_keys import source
from project.clock import utcnow
from project.database.compiled import CompiledQuery
from project.errors import RefreshReused, RefreshSuperseded
from project.extensions import db, transaction
from project.models import Session, User
from project.security.signing_keys import Key
from project.security.tokens import Claims, Purpose

GRACE_PERIOD = timedelta(seconds=30)
"""Time for which the token of the previous generation is still accepted."""

MAX_GRACE_RESPONSES = 10
"""Maximum number of responses to it: enough for browser tabs that wake up together."""

BY_SESSION = CompiledQuery(
    select(
        Session.user_id, Session.generation, Session.refreshed_at, Session.refreshed_network,
        Session.grace_responses, Session.expires_at, Session.ended_at, User.active,
        sessions.KEY_RETIRED,
    )
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"))
)  # fmt: skip


SessionRow = Row[int, int, datetime, str | None, int, datetime, datetime | None, bool, bool]


def decode(token: str) -> Claims:
    """Return the claims of a refresh token, without checking its session.

    Raises TokenInvalid or TokenExpired.
    """
    return User.decode_auth_token(token, Purpose.REFRESH)


def refresh(claims: Claims, actor: Actor) -> IssuedTokens:
    """Return new tokens for the claims of a refresh token.

    Raises TokenInvalid, SessionEnded, UserInactive, TooManyAttempts, RefreshSuperseded, or
    RefreshReused, which ends the session.
    """
    assert claims.generation is not None
    session: SessionRow = sessions.load_active(claims, BY_SESSION)
    key = source.current().signing_key()
    if session.generation == claims.generation:
        throttle.count_write(claims.user_id, actor)
        if _advance(claims, actor):
            return _issue(claims.session_id, session, claims.generation + 1, key)
        session = sessions.load_active(claims, BY_SESSION)  # a concurrent request was faster
    if _is_reuse(claims.generation, session, utcnow()):
        sessions.end(claims.user_id, claims.session_id, actor, Event.REFRESH_TOKEN_REUSED)
        raise RefreshReused
    _count_grace_response(claims, session, actor)
    return _issue(claims.session_id, session, session.generation, key)


def _advance(claims: Claims, actor: Actor) -> bool:
    """Advance the generation by compare-and-swap; return False if another request did."""
    now = utcnow()
    unchanged = update(Session).where(
        Session.id == claims.session_id,
        Session.generation == claims.generation,
        Session.ended_at.is_(None),
    )
    advanced = unchanged.values(
        generation=Session.generation + 1,
        refreshed_at=now,
        refreshed_network=actor.network,
        grace_responses=0,
        last_seen_at=now,
    )
    with transaction():
        return db.session.scalar(advanced.returning(Session.id)) is not None


def _is_reuse(generation: int, session: SessionRow, now: datetime) -> bool:
    is_previous = session.generation == generation + 1
    return not is_previous or now - session.refreshed_at > GRACE_PERIOD


def _count_grace_response(claims: Claims, session: SessionRow, actor: Actor) -> None:
    """Count a use of the previous generation's token, and record one from another network.

    Raises RefreshSuperseded if the limit is reached, or the session was refreshed meanwhile.
    """
    if session.grace_responses >= MAX_GRACE_RESPONSES:
        raise RefreshSuperseded
    acceptable = update(Session).where(
        Session.id == claims.session_id,
        Session.generation == session.generation,
        Session.grace_responses < MAX_GRACE_RESPONSES,
        Session.ended_at.is_(None),
    )
    counted = acceptable.values(grace_responses=Session.grace_responses + 1).returning(Session.id)
    with transaction():
        if db.session.scalar(counted) is None:
            raise RefreshSuperseded
        if session.refreshed_network not in (None, actor.network):
            _record_sharing(claims, session.refreshed_network, actor)


def _record_sharing(claims: Claims, network: str, actor: Actor) -> None:
    audit.record(
        Event.REFRESH_TOKEN_SHARED,
        actor,
        user_id=claims.user_id,
        session_id=claims.session_id,
        network=network,
    )


def _issue(session_id: UUID, session: SessionRow, generation: int, key: Key) -> IssuedTokens:
    return tokens.issue(session.user_id, session_id, generation, session.expires_at, key)
