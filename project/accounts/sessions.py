"""Sessions: opened by a login, shown by a token, ended by a logout."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import current_app
from sqlalchemy import bindparam, select, update

from project.accounts import grants
from project.accounts.grants import Grant
from project.api.models import Session, User
from project.clock import utcnow
from project.errors import SessionEnded, UserInactive
from project.extensions import db, reads


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token shows: an active user in a session that is open now."""

    session_id: UUID
    id: int
    username: str
    email: str
    active: bool
    admin: bool
    created_at: datetime


# By the session's id alone: given the user's id too, PostgreSQL may choose that index and read
# every session of a user who has many. Whether the two belong together is compared below.
SHOWN_BY_SESSION = (
    select(
        Session.ended_at, User.id, User.username, User.email, User.active, User.admin,
        User.created_at,
    )
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"))
)  # fmt: skip


def start(user_id: int) -> Grant:
    """Open a session of a user within the caller's transaction; return what the client gets.

    Raises IntegrityError where the user is gone.
    """
    now = utcnow()
    ends_at = now + current_app.config["SESSION_LIFETIME"]
    session = Session(user_id=user_id, created_at=now, refreshed_at=now, expires_at=ends_at)
    db.session.add(session)
    db.session.flush()
    return grants.make(user_id, session.id, session.generation, ends_at)


def identify(token: str) -> Identity:
    """Return who shows this token; one statement on the wire.

    Raises TokenInvalid, TokenExpired, SessionEnded or UserInactive.
    """
    claims = User.decode_auth_token(token)
    row = reads.first(SHOWN_BY_SESSION, session_id=claims.session_id)
    if row is None or row.ended_at is not None or row.id != claims.user_id:
        raise SessionEnded
    if not row.active:
        raise UserInactive
    _, user_id, username, email, active, admin, created_at = row
    return Identity(claims.session_id, user_id, username, email, active, admin, created_at)


def end(session_id: UUID) -> None:
    """End a session. Raises SessionEnded where it has ended already."""
    open_session = update(Session).where(Session.id == session_id, Session.ended_at.is_(None))
    ended = db.session.scalar(open_session.values(ended_at=utcnow()).returning(Session.id))
    db.session.commit()
    if ended is None:
        raise SessionEnded
