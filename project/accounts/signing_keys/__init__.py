"""Signing keys in the database: list, add and retire them."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import Row, bindparam, func, or_, select, update

from project.accounts import audit
from project.accounts.actors import COMMAND, Actor
from project.accounts.audit import Event
from project.clock import utcnow
from project.database.writes import insert_new
from project.extensions import autocommit, db, transaction
from project.models import Session, SigningKey, User
from project.security import signing_keys
from project.security.signing_keys import Algorithm

FIRST_ID = 1
"""Id of the first key, whose `signs_at` is when SECRET_KEY ceased to sign access tokens. Its row is
always read, and so is the last key's, whose id determines the id of the next one."""

ERASED = ""
"""Value of `private_key` once the private key of an expired key is erased."""

KeyRow = Row[
    int, str, str, str, str, datetime, datetime, datetime | None,
    datetime | None, datetime | None,
]  # fmt: skip

UNEXPIRED = (
    select(
        SigningKey.id, SigningKey.kid, SigningKey.algorithm, SigningKey.jwk,
        SigningKey.private_key, SigningKey.created_at, SigningKey.signs_at,
        SigningKey.signs_until, SigningKey.expires_at, SigningKey.retired_at,
    )
    .where(or_(
        SigningKey.expires_at.is_(None), SigningKey.expires_at > bindparam("now"),
        SigningKey.id == FIRST_ID,
        SigningKey.id == select(func.max(SigningKey.id)).scalar_subquery(),
    ))
    .order_by(SigningKey.id)
)  # fmt: skip

# Joined with the users of that time, whose index makes a query without result cheap.
SESSION_BEFORE = (
    select(Session.id)
    .join(User, User.id == Session.user_id)
    .where(User.created_at < bindparam("time"), Session.created_at < bindparam("time"))
    .limit(1)
)


class UnknownKey(Exception):
    """No key has this id."""


def list_unexpired() -> Sequence[KeyRow]:
    """Return the unexpired keys, retired or not, and always the first and the last; by id."""
    return autocommit.all(UNEXPIRED, now=utcnow())


def is_valid(key: KeyRow, now: datetime) -> bool:
    """Return whether the key is neither retired nor expired: published, and its tokens accepted."""
    return key.retired_at is None and (key.expires_at is None or now < key.expires_at)


def has_session_before(time: datetime) -> bool:
    """Return whether a session exists that was started before this time."""
    return autocommit.first(SESSION_BEFORE, time=time) is not None


def list_retired() -> list[str]:
    """Return the ids of the retired keys that have not expired yet."""
    now = utcnow()
    return [key.kid for key in list_unexpired() if key.retired_at and key.expires_at > now]


def publication_lead() -> timedelta:
    """Return the time from a key's publication to its first signature."""
    lead: timedelta = current_app.config["KEY_PUBLICATION_LEAD"]
    return lead


def max_token_lifetime() -> timedelta:
    """Return the longest lifetime of a token."""
    config = current_app.config
    lifetime: timedelta = max(config["TOKEN_LIFETIME"], config["SESSION_IDLE_LIFETIME"])
    return lifetime


def add(algorithm: Algorithm, number: int, signs_at: datetime, actor: Actor) -> str | None:
    """Create and publish a key that signs from `signs_at` on; return its `kid`.

    Return None if another process has created the key with this number. The previous keys sign
    somewhat longer, for processes that learn of the new key late, and expire with their last token.
    """
    private = signing_keys.generate(algorithm)
    jwk = signing_keys.public_jwk(private, algorithm)
    row = {
        "id": number,
        "kid": jwk["kid"],
        "algorithm": algorithm.value,
        "jwk": json.dumps(jwk),
        "private_key": signing_keys.seal(private, current_app.config["SECRET_KEY"]),
        "created_at": utcnow(),
        "signs_at": signs_at,
    }
    with transaction():
        is_new = insert_new(db.session(), SigningKey, row) is not None
        if is_new:
            _supersede(number, signs_at + publication_lead())
            audit.record(Event.KEY_ROTATED, actor, kid=jwk["kid"])
    return jwk["kid"] if is_new else None


def retire(kid: str, actor: Actor = COMMAND) -> None:
    """Reject a key's tokens from now on, in every process. Raises UnknownKey.

    Retiring a retired key has no effect.
    """
    now = utcnow()
    unretired = update(SigningKey).where(SigningKey.kid == kid, SigningKey.retired_at.is_(None))
    retiring = unretired.values(
        retired_at=now, expires_at=func.coalesce(SigningKey.expires_at, now + max_token_lifetime())
    )
    with transaction():
        if db.session.scalar(retiring.returning(SigningKey.id)) is not None:
            audit.record(Event.KEY_RETIRED, actor, kid=kid)
        elif db.session.scalar(select(SigningKey.id).where(SigningKey.kid == kid)) is None:
            raise UnknownKey(json.dumps(kid))


def _supersede(number: int, signs_until: datetime) -> None:
    """Set the end of the keys before this number, within the caller's transaction."""
    previous = update(SigningKey).where(SigningKey.id < number, SigningKey.signs_until.is_(None))
    db.session.execute(
        previous.values(signs_until=signs_until, expires_at=signs_until + max_token_lifetime())
    )
