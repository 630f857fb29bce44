"""Sessions: opened by a login, shown by a token, ended by a logout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    String,
    bindparam,
    func,
    insert,
    select,
    true,
    update,
)

from project.accounts import audit, grants, presence
from project.accounts.audit import Event
from project.accounts.clients import Client
from project.accounts.grants import Grant
from project.api.models import Revocation, Session, SigningKey, User
from project.clock import utcnow
from project.database.base import Moment, table_of
from project.database.prepared import Columns, Prepared
from project.errors import SessionEnded, SessionNotFound, TokenInvalid, UserInactive
from project.extensions import db, reads, writing
from project.security.tokens import Claims


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
    issued_at: datetime
    expires_at: datetime
    """When the token was issued and when it expires."""


# Of the key that signed the token, by bindparam("key_id").
KEY_RETIRED = (
    select(SigningKey.id)
    .where(SigningKey.kid == bindparam("key_id", type_=String), SigningKey.retired_at.is_not(None))
    .exists()
    .label("key_retired")
)

# By the session's id alone: given the user's id too, PostgreSQL may choose that index and read
# every session of a user who has many. Whether the two belong together is compared below.
SHOWN_BY_SESSION = Prepared(
    select(
        Session.ended_at, Session.user_id, User.username, User.email, User.active, User.admin,
        User.created_at, KEY_RETIRED,
    )
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"))
)  # fmt: skip

NUMBER_OPEN = (
    select(func.count())
    .where(
        Session.user_id == User.id,
        Session.ended_at.is_(None),
        Session.expires_at > bindparam("now", type_=Moment()),
    )
    .correlate(User)
    .scalar_subquery()
)
"""How many sessions of a user are open."""

INSERTING = insert(table_of(Session))

STARTED = "sessions.started"
"""Where the transaction keeps how many it has opened, for whoever counts them."""


def start(user_id: int, client: Client, event: Event) -> Grant:
    """Open a session of a user within the caller's transaction; return what the client gets.

    It is recorded as the event that opened it. Raises IntegrityError where the user is gone.
    """
    now = utcnow()
    ends_at = now + current_app.config["SESSION_LIFETIME"]
    session = {
        "id": uuid4(),
        "user_id": user_id,
        "created_at": now,
        "refreshed_at": now,
        "last_seen_at": now,
        "expires_at": ends_at,
        "generation": 0,
        "address": client.address,
        "user_agent": client.user_agent,
    }
    writing().execute(INSERTING, session)
    db.session.info[STARTED] = db.session.info.get(STARTED, 0) + 1
    audit.record(event, client, user_id=user_id, session_id=session["id"])
    return grants.make(user_id, session["id"], session["generation"], ends_at)


def identify(token: str) -> Identity:
    """Return who shows this token; one statement on the wire.

    Raises TokenInvalid, TokenExpired, SessionEnded or UserInactive.
    """
    claims = User.decode_auth_token(token)
    row = admit(claims, SHOWN_BY_SESSION)
    presence.current().note(claims.session_id)
    return Identity(
        session_id=claims.session_id,
        id=claims.user_id,
        username=row.username,
        email=row.email,
        active=row.active,
        admin=row.admin,
        created_at=row.created_at,
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
    )


def admit(claims: Claims, shown: Prepared[*Columns]) -> Row[*Columns]:
    """Return what is shown of the session that a token names, with its user, if it is open.

    The read selects by `session_id` and `key_id`, and shows at least `user_id`, `active`,
    `ended_at` and `key_retired`. Raises TokenInvalid where the token's key was retired,
    SessionEnded, or UserInactive before that: taking an account out of use ends its sessions, and
    is what to tell.
    """
    row = reads.alone(shown, session_id=claims.session_id, key_id=claims.key_id)
    if row is None or row.user_id != claims.user_id:
        raise SessionEnded
    if row.key_retired:
        raise TokenInvalid
    if not row.active:
        raise UserInactive
    if row.ended_at is not None:
        raise SessionEnded
    return row


def of_user(user_id: int) -> Sequence[Session]:
    """Return the sessions of a user that are open, the last seen first."""
    presence.current().write()
    last_seen_first = (Session.last_seen_at.desc(), Session.created_at.desc())
    return db.session.scalars(_open(user_id).order_by(*last_seen_first)).all()


def count_open() -> int:
    """Return how many sessions of all users are open; it reads every session."""
    still_open = (Session.ended_at.is_(None), Session.expires_at > utcnow())
    counted = reads.first(select(func.count()).select_from(Session).where(*still_open))
    return counted[0] if counted else 0


def end(user_id: int, session_id: UUID, client: Client, event: Event = Event.SESSION_ENDED) -> None:
    """End a session of this user, and record why.

    Raises SessionEnded where it has ended already, or is somebody else's.
    """
    if _close(Session.user_id == user_id, Session.id == session_id):
        audit.record(event, client, user_id=user_id, session_id=session_id)
        db.session.commit()
    else:
        db.session.rollback()
        raise SessionEnded


def end_one_of(user_id: int, session_id: UUID, client: Client) -> None:
    """End a session of this user. Raises SessionNotFound, also for somebody else's."""
    try:
        end(user_id, session_id, client)
    except SessionEnded:
        raise SessionNotFound from None


def end_all(user_id: int, client: Client, but: UUID | None = None) -> int:
    """End every session of a user, but one where that is named; return how many there were."""
    ended = close_all(user_id, but)
    scope = "others" if but else "all"
    audit.record(Event.SESSIONS_ENDED, client, user_id=user_id, scope=scope, count=ended)
    db.session.commit()
    return ended


def close_all(user_id: int, but: UUID | None = None) -> int:
    """End every session of a user, but one where that is named, within the caller's transaction."""
    return _close(Session.user_id == user_id, Session.id != but if but else true())


def _close(*which: ColumnElement[bool]) -> int:
    """End sessions and enter them in the feed; every ending comes by here."""
    now = utcnow()
    ended = update(Session).where(*which, Session.ended_at.is_(None)).values(ended_at=now)
    rows = db.session.execute(ended.returning(Session.id, Session.expires_at)).all()
    db.session.add_all(
        Revocation(session_id=row.id, ended_at=now, expires_at=row.expires_at) for row in rows
    )
    db.session.flush()
    return len(rows)


def _open(user_id: int) -> Select[Session]:
    return select(Session).where(
        Session.user_id == user_id, Session.ended_at.is_(None), Session.expires_at > utcnow()
    )


def close_the_oldest(user_id: int, client: Client) -> None:
    """End so many sessions of a user that no more than the most are left, in the transaction."""
    newest_first = _open(user_id).order_by(Session.created_at.desc(), Session.id)
    beyond = newest_first.offset(current_app.config["MAX_SESSIONS_PER_USER"])
    too_many = db.session.scalars(beyond.with_only_columns(Session.id)).all()
    # By ids that are known: with a subquery PostgreSQL may read every session of everybody.
    if too_many and (ended := _close(Session.id.in_(too_many))):
        audit.record(Event.SESSIONS_ENDED, client, user_id=user_id, scope="oldest", count=ended)
