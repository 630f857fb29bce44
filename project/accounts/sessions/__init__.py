"""Start, identify, list and end sessions."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
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
from sqlalchemy.orm import InstrumentedAttribute, aliased

from project.accounts import audit, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.sessions import last_seen, tokens
from project.accounts.sessions.principal import Principal as Principal
from project.accounts.sessions.tokens import IssuedTokens
from project.clock import utcnow
from project.database.base import table_of
from project.database.compiled import Columns, CompiledQuery
from project.errors import (
    InvalidCredentials,
    PasswordReplaced,
    SessionEnded,
    SessionNotFound,
    TokenInvalid,
    UserInactive,
)
from project.extensions import autocommit, db, transaction, write_connection
from project.models import Revocation, Session, SigningKey, User
from project.security.signing_keys import Key
from project.security.tokens import Claims

# Whether the key `key_id`, which signed the token, is retired.
KEY_RETIRED = (
    select(SigningKey.id)
    .where(SigningKey.kid == bindparam("key_id", type_=String), SigningKey.retired_at.is_not(None))
    .exists()
    .label("key_retired")
)

EMAIL_VERIFIED = User.email_verified_at.is_not(None).label("email_verified")

# Selects by the session's id alone, and `load_active` compares the user's id. With the user's id as
# a second condition, PostgreSQL may use the index on it and read every session of that user.
SESSION_WITH_USER = CompiledQuery(
    select(
        Session.ended_at, Session.user_id, User.username, User.email, User.active, User.admin,
        User.created_at, EMAIL_VERIFIED, Session.authenticated_at, KEY_RETIRED,
    )
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"))
)  # fmt: skip

LISTED_COLUMNS = (
    Session.id, Session.created_at, Session.last_seen_at, Session.address, Session.user_agent
)  # fmt: skip

# Locks the user until the transaction ends. Deletion, deactivation and other logins of the user
# wait for the lock. (SQLite runs one writing transaction at a time.)
LOCK_USER = (
    select(User.active, User.password)
    .where(User.id == bindparam("user_id"))
    .with_for_update(key_share=True)
)

OTHER = aliased(Session)
OTHER_OPEN_SESSIONS = (
    select(func.count())
    .select_from(OTHER)
    .where(
        OTHER.user_id == bindparam("of_user"),
        OTHER.id != bindparam("this"),
        OTHER.ended_at.is_(None),
        OTHER.expires_at > bindparam("now"),
    )
    .scalar_subquery()
)
INSERT_SESSION = insert(table_of(Session)).returning(OTHER_OPEN_SESSIONS)
"""Inserts a session and counts the user's other sessions. LOCK_USER cannot count them: if it waits
for another login, its snapshot lacks the session of that login."""


def start(  # noqa: PLR0913  # each is a fact of the login
    user_id: int,
    actor: Actor,
    event: Event,
    key: Key,
    last_login_at: datetime | None = None,
    *,
    password_hash: str | None = None,
    **details: str,
) -> IssuedTokens:
    """Start a session within the caller's transaction; return its tokens.

    Every kind of login starts its session here. `event` is recorded in the audit log with the
    details, and `key` signs the tokens. `last_login_at` is the last login to the account from the
    client's network. The session of an inactive user is ended at once, so that its tokens are
    rejected, also by services that verify tokens themselves. `password_hash` is the hash that the
    password was checked against.

    Raises InvalidCredentials if the user has been deleted; the caller then commits the audit event.
    Raises PasswordReplaced if the account has another password hash by now.
    """
    # A user registered in this transaction is active. Others cannot see it, so it needs no lock.
    is_active = event is Event.USER_REGISTERED or _lock_user(user_id, actor, password_hash)
    session = _new_row(user_id, actor)
    counted = {"of_user": user_id, "this": session["id"], "now": session["created_at"]}
    others = write_connection().execute(INSERT_SESSION, session | counted).scalar_one()
    audit.record(event, actor, user_id=user_id, session_id=session["id"], **details)
    if others >= current_app.config["MAX_SESSIONS_PER_USER"]:
        _end_oldest(user_id, actor)
    if not is_active:
        _record_endings(user_id, actor, "inactive", mark_all_ended(user_id))
    throttle.remember_network(user_id, actor.network, last_login_at)
    return tokens.issue(user_id, session["id"], 0, session["expires_at"], key)


def _lock_user(user_id: int, actor: Actor, password_hash: str | None) -> bool:
    """Lock a user until the transaction ends; return whether the account is active."""
    locked = write_connection().execute(LOCK_USER, {"user_id": user_id}).first()
    if locked is None:
        audit.record(Event.LOGIN_FAILED, actor, user_id=user_id)
        raise InvalidCredentials
    if password_hash not in (None, locked.password):
        raise PasswordReplaced
    is_active: bool = locked.active
    return is_active


def _new_row(user_id: int, actor: Actor) -> dict[str, Any]:
    now = utcnow()
    return {
        "id": uuid4(),
        "user_id": user_id,
        "created_at": now,
        "authenticated_at": now,
        "refreshed_at": now,
        "refreshed_network": actor.network,
        "last_seen_at": now,
        "expires_at": now + current_app.config["SESSION_LIFETIME"],
        "generation": 0,
        "grace_responses": 0,
        "address": actor.address,
        "user_agent": actor.user_agent,
    }


def identify(token: str) -> Principal:
    """Return the principal of an access token, with a single SQL statement.

    Raises TokenInvalid, TokenExpired, SessionEnded or UserInactive.
    """
    claims = User.decode_auth_token(token)
    row = load_active(claims, SESSION_WITH_USER)
    last_seen.current().touch(claims.session_id)
    return Principal(
        session_id=claims.session_id,
        id=claims.user_id,
        username=row.username,
        email=row.email,
        active=row.active,
        admin=row.admin,
        created_at=row.created_at,
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        email_verified=row.email_verified,
        authenticated_at=row.authenticated_at,
    )


def load_active(claims: Claims, query: CompiledQuery[*Columns]) -> Row[*Columns]:
    """Return the row of a token's session, if the session is open and the user is active.

    The query has the parameters `session_id` and `key_id`, and selects at least `user_id`,
    `active`, `ended_at` and `key_retired`. Raises TokenInvalid if the token's key is retired,
    UserInactive or SessionEnded. UserInactive comes first, since deactivation ends all sessions.
    """
    row = autocommit.fetch_one(query, session_id=claims.session_id, key_id=claims.key_id)
    if row is None or row.user_id != claims.user_id:
        raise SessionEnded
    if row.key_retired:
        raise TokenInvalid
    if not row.active:
        raise UserInactive
    if row.ended_at is not None:
        raise SessionEnded
    return row


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session in its user's list of sessions."""

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    address: str
    user_agent: str


def list_open(user_id: int) -> list[OpenSession]:
    """Return the open sessions of a user, the most recently seen first.

    `last_seen_at` includes times that this process has not yet written to the database.
    """
    seen_at = last_seen.current().seen_at
    stored = (OpenSession(*row) for row in autocommit.all(_select_open(user_id, *LISTED_COLUMNS)))
    sessions = [replace(each, last_seen_at=seen_at(each.id, each.last_seen_at)) for each in stored]
    return sorted(sessions, key=lambda each: (each.last_seen_at, each.created_at), reverse=True)


def count_open() -> int:
    """Return the number of open sessions of all users; this reads the whole table."""
    still_open = (Session.ended_at.is_(None), Session.expires_at > utcnow())
    counted = autocommit.first(select(func.count()).select_from(Session).where(*still_open))
    return counted[0] if counted else 0


def end(user_id: int, session_id: UUID, actor: Actor, event: Event = Event.SESSION_ENDED) -> None:
    """End a session of this user, and record the event.

    Raises SessionEnded if it has ended already or belongs to another user.
    """
    with transaction():
        if not _mark_ended(Session.user_id == user_id, Session.id == session_id):
            raise SessionEnded
        audit.record(event, actor, user_id=user_id, session_id=session_id)


def end_own(user_id: int, session_id: UUID, actor: Actor) -> None:
    """End a session of this user. Raises SessionNotFound, also for a session of another user."""
    try:
        end(user_id, session_id, actor)
    except SessionEnded:
        raise SessionNotFound from None


def end_all(user_id: int, actor: Actor, keep: UUID | None = None) -> int:
    """End all sessions of a user, except `keep`; return their number."""
    with transaction():
        ended = mark_all_ended(user_id, keep)
        _record_endings(user_id, actor, "others" if keep else "all", ended)
    return ended


def mark_all_ended(user_id: int, keep: UUID | None = None) -> int:
    """End all sessions of a user, except `keep`, within the caller's transaction."""
    return _mark_ended(Session.user_id == user_id, Session.id != keep if keep else true())


def end_for_password(user_id: int, actor: Actor) -> None:
    """End all sessions of a user whose password changes, within the caller's transaction."""
    _record_endings(user_id, actor, "password", mark_all_ended(user_id))


def _mark_ended(*conditions: ColumnElement[bool]) -> int:
    """End the matching sessions and add them to the feed of ended sessions; return their number."""
    now = utcnow()
    ended = update(Session).where(*conditions, Session.ended_at.is_(None)).values(ended_at=now)
    rows = db.session.execute(ended.returning(Session.id, Session.expires_at)).all()
    db.session.add_all(
        Revocation(session_id=row.id, ended_at=now, expires_at=row.expires_at) for row in rows
    )
    db.session.flush()
    return len(rows)


def _end_oldest(user_id: int, actor: Actor) -> None:
    """End the oldest sessions of a user beyond MAX_SESSIONS_PER_USER."""
    newest_first = _select_open(user_id, Session.id).order_by(Session.created_at.desc(), Session.id)
    surplus = newest_first.offset(current_app.config["MAX_SESSIONS_PER_USER"])
    oldest = db.session.scalars(surplus).all()
    # Selects by ids: with a subquery PostgreSQL may read every session of all users.
    if oldest:
        _record_endings(user_id, actor, "oldest", _mark_ended(Session.id.in_(oldest)))


def _record_endings(user_id: int, actor: Actor, scope: str, count: int) -> None:
    if count:
        audit.record(Event.SESSIONS_ENDED, actor, user_id=user_id, scope=scope, count=count)


def _select_open(user_id: int, *columns: InstrumentedAttribute[Any]) -> Select[*tuple[Any, ...]]:
    return select(*columns).where(
        Session.user_id == user_id, Session.ended_at.is_(None), Session.expires_at > utcnow()
    )
