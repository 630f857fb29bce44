"""Sessions: started by a login, named by a token, ended by a logout."""

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

# Of the key that signed the token, by bindparam("key_id").
KEY_RETIRED = (
    select(SigningKey.id)
    .where(SigningKey.kid == bindparam("key_id", type_=String), SigningKey.retired_at.is_not(None))
    .exists()
    .label("key_retired")
)

# By the session's id alone: given the user's id too, PostgreSQL may choose that index and read
# every session of a user who has many. Whether the two belong together is compared below.
SHOWN_BY_SESSION = CompiledQuery(
    select(
        Session.ended_at, Session.user_id, User.username, User.email, User.active, User.admin,
        User.created_at, User.email_verified_at, KEY_RETIRED,
    )
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"))
)  # fmt: skip

SHOWN_TO_USER = (
    Session.id, Session.created_at, Session.last_seen_at, Session.address, Session.user_agent
)  # fmt: skip

# Held until the transaction ends, so that meanwhile nobody deletes or deactivates the user, and no
# other login of the same user counts the sessions. (SQLite lets in one transaction at a time.)
ACTIVE = (
    select(User.active, User.password)
    .where(User.id == bindparam("user_id"))
    .with_for_update(key_share=True)
)

OTHER = aliased(Session)
NUMBER_OF_OTHERS = (
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
INSERTING = insert(table_of(Session)).returning(NUMBER_OF_OTHERS)
"""Counted by this statement, and not by the one that holds the user: that one may have waited for
another login, and would not see its session."""


def start(  # noqa: PLR0913  # each is a fact of the login
    user_id: int,
    actor: Actor,
    event: Event,
    key: Key,
    last_login_at: datetime | None = None,
    *,
    kept_hash: str | None = None,
) -> IssuedTokens:
    """Start a session of a user within the operation's transaction; return its tokens.

    The one way into a session, whatever the user has shown. It is recorded as this event, and its
    tokens are signed by this key. `last_login_at` is when the client's network last logged in to
    the account. The session of an inactive user has ended when it starts, so that its tokens open
    nothing, also where others verify them. `kept_hash` is the hash of the password that the user
    has shown.

    Raises InvalidCredentials where the user was deleted meanwhile: recorded, to be committed.
    Raises PasswordReplaced where the account has another password by now.
    """
    # A user who was registered in this transaction is active, and is seen by nobody else yet.
    is_active = event is Event.USER_REGISTERED or _is_active(user_id, actor, kept_hash)
    session = _new_row(user_id, actor)
    counted = {"of_user": user_id, "this": session["id"], "now": session["created_at"]}
    others = write_connection().execute(INSERTING, session | counted).scalar_one()
    audit.record(event, actor, user_id=user_id, session_id=session["id"])
    if others >= current_app.config["MAX_SESSIONS_PER_USER"]:
        _end_oldest(user_id, actor)
    if not is_active:
        _record_endings(user_id, actor, "inactive", end_every(user_id))
    throttle.remember(user_id, actor.network, last_login_at)
    return tokens.make(user_id, session["id"], 0, session["expires_at"], key)


def _is_active(user_id: int, actor: Actor, kept_hash: str | None) -> bool:
    """Hold a user until the transaction ends; return whether the account is active."""
    held = write_connection().execute(ACTIVE, {"user_id": user_id}).first()
    if held is None:
        audit.record(Event.LOGIN_FAILED, actor, user_id=user_id)
        raise InvalidCredentials
    if kept_hash not in (None, held.password):
        raise PasswordReplaced
    is_active: bool = held.active
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
    """Return who shows this token; one statement on the wire.

    Raises TokenInvalid, TokenExpired, SessionEnded or UserInactive.
    """
    claims = User.decode_auth_token(token)
    row = admit(claims, SHOWN_BY_SESSION)
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
        email_verified=row.email_verified_at is not None,
    )


def admit(claims: Claims, shown: CompiledQuery[*Columns]) -> Row[*Columns]:
    """Return what is shown of the session that a token names, with its user, if it is open.

    The read selects by `session_id` and `key_id`, and shows at least `user_id`, `active`,
    `ended_at` and `key_retired`. Raises TokenInvalid where the token's key was retired,
    SessionEnded, or UserInactive before that: taking an account out of use ends its sessions, and
    is what to tell.
    """
    row = autocommit.fetch_one(shown, session_id=claims.session_id, key_id=claims.key_id)
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
    """A session as its user sees it."""

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    address: str
    user_agent: str


def of_user(user_id: int) -> list[OpenSession]:
    """Return the sessions of a user that are open, the last seen first.

    What this process has seen and not written yet counts too.
    """
    seen_at = last_seen.current().seen_at
    found = (OpenSession(*row) for row in autocommit.all(_open(user_id, *SHOWN_TO_USER)))
    sessions = [replace(one, last_seen_at=seen_at(one.id, one.last_seen_at)) for one in found]
    return sorted(sessions, key=lambda one: (one.last_seen_at, one.created_at), reverse=True)


def count_open() -> int:
    """Return how many sessions of all users are open; it reads every session."""
    still_open = (Session.ended_at.is_(None), Session.expires_at > utcnow())
    counted = autocommit.first(select(func.count()).select_from(Session).where(*still_open))
    return counted[0] if counted else 0


def end(user_id: int, session_id: UUID, actor: Actor, event: Event = Event.SESSION_ENDED) -> None:
    """End a session of this user, and record why.

    Raises SessionEnded where it has ended already, or is somebody else's.
    """
    with transaction():
        if not _end(Session.user_id == user_id, Session.id == session_id):
            raise SessionEnded
        audit.record(event, actor, user_id=user_id, session_id=session_id)


def end_one_of(user_id: int, session_id: UUID, actor: Actor) -> None:
    """End a session of this user. Raises SessionNotFound, also for somebody else's."""
    try:
        end(user_id, session_id, actor)
    except SessionEnded:
        raise SessionNotFound from None


def end_all(user_id: int, actor: Actor, but: UUID | None = None) -> int:
    """End every session of a user, but one where that is named; return how many there were."""
    with transaction():
        ended = end_every(user_id, but)
        _record_endings(user_id, actor, "others" if but else "all", ended)
    return ended


def end_every(user_id: int, but: UUID | None = None) -> int:
    """End every session of a user, but one where that is named, within the operation."""
    return _end(Session.user_id == user_id, Session.id != but if but else true())


def end_for_password(user_id: int, actor: Actor) -> None:
    """End every session of a user whose password is changed, within the operation."""
    _record_endings(user_id, actor, "password", end_every(user_id))


def _end(*which: ColumnElement[bool]) -> int:
    """End sessions and enter them in the feed; every ending comes by here."""
    now = utcnow()
    ended = update(Session).where(*which, Session.ended_at.is_(None)).values(ended_at=now)
    rows = db.session.execute(ended.returning(Session.id, Session.expires_at)).all()
    db.session.add_all(
        Revocation(session_id=row.id, ended_at=now, expires_at=row.expires_at) for row in rows
    )
    db.session.flush()
    return len(rows)


def _end_oldest(user_id: int, actor: Actor) -> None:
    """End so many sessions of a user that no more than MAX_SESSIONS_PER_USER are left."""
    newest_first = _open(user_id, Session.id).order_by(Session.created_at.desc(), Session.id)
    beyond = newest_first.offset(current_app.config["MAX_SESSIONS_PER_USER"])
    too_many = db.session.scalars(beyond).all()
    # By ids that are known: with a subquery PostgreSQL may read every session of everybody.
    if too_many:
        _record_endings(user_id, actor, "oldest", _end(Session.id.in_(too_many)))


def _record_endings(user_id: int, actor: Actor, scope: str, count: int) -> None:
    if count:
        audit.record(Event.SESSIONS_ENDED, actor, user_id=user_id, scope=scope, count=count)


def _open(user_id: int, *columns: InstrumentedAttribute[Any]) -> Select[*tuple[Any, ...]]:
    return select(*columns).where(
        Session.user_id == user_id, Session.ended_at.is_(None), Session.expires_at > utcnow()
    )
