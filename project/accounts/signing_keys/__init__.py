"""Signing keys in the database: made, kept, published, retired."""

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

FIRST = 1
"""The first key is never left out: since when it signs says when the secret alone ceased to. Nor is
the last: the next one is numbered after it."""

ERASED = ""
"""What stands for the private part of a key that has expired, once that is erased."""

KeyRow = Row[
    int, str, str, str, str, datetime, datetime, datetime | None,
    datetime | None, datetime | None,
]  # fmt: skip

KEPT = (
    select(
        SigningKey.id, SigningKey.kid, SigningKey.algorithm, SigningKey.jwk,
        SigningKey.private_key, SigningKey.created_at, SigningKey.signs_at,
        SigningKey.signs_until, SigningKey.expires_at, SigningKey.retired_at,
    )
    .where(or_(
        SigningKey.expires_at.is_(None), SigningKey.expires_at > bindparam("now"),
        SigningKey.id == FIRST, SigningKey.id == select(func.max(SigningKey.id)).scalar_subquery(),
    ))
    .order_by(SigningKey.id)
)  # fmt: skip

# By the users of that time, whose index makes it cheap where there was none.
SESSION_BEFORE = (
    select(Session.id)
    .join(User, User.id == Session.user_id)
    .where(User.created_at < bindparam("moment"), Session.created_at < bindparam("moment"))
    .limit(1)
)


class UnknownKey(Exception):
    """No key has this id."""


def kept() -> Sequence[KeyRow]:
    """Return the keys whose tokens may live, retired or not, the first and the last; in order."""
    return autocommit.all(KEPT, now=utcnow())


def is_good(key: KeyRow, now: datetime) -> bool:
    """Tell whether tokens of this key are taken, and so whether it is published."""
    return key.retired_at is None and (key.expires_at is None or now < key.expires_at)


def has_session_before(moment: datetime) -> bool:
    """Return whether a session was opened before this moment and is not purged yet."""
    return autocommit.first(SESSION_BEFORE, moment=moment) is not None


def retired() -> list[str]:
    """Return the ids of the retired keys whose tokens would not have expired by themselves."""
    now = utcnow()
    return [key.kid for key in kept() if key.retired_at and key.expires_at > now]


def lead() -> timedelta:
    """Return how long a key is published before it signs."""
    ahead: timedelta = current_app.config["KEY_PUBLICATION_LEAD"]
    return ahead


def longest_lifetime() -> timedelta:
    """Return how long a token may live after it was signed."""
    config = current_app.config
    longest: timedelta = max(config["TOKEN_LIFETIME"], config["SESSION_IDLE_LIFETIME"])
    return longest


def add(algorithm: Algorithm, number: int, signs_at: datetime, actor: Actor) -> str | None:
    """Make and publish a key that signs from this moment on; return its id.

    None where another process has made the key of this number. The keys before it go on a little
    longer than it takes to begin, for processes that learn of it late, and are kept until the last
    token that they can have signed has expired.
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
        made = insert_new(db.session(), SigningKey, row) is not None
        if made:
            _supersede(number, signs_at + lead())
            audit.record(Event.KEY_ROTATED, actor, kid=jwk["kid"])
    return jwk["kid"] if made else None


def retire(kid: str, actor: Actor = COMMAND) -> None:
    """Reject a key's tokens from now on, in every process. Raises UnknownKey.

    A key that is retired already stays as it is.
    """
    now = utcnow()
    working = update(SigningKey).where(SigningKey.kid == kid, SigningKey.retired_at.is_(None))
    retiring = working.values(
        retired_at=now, expires_at=func.coalesce(SigningKey.expires_at, now + longest_lifetime())
    )
    with transaction():
        if db.session.scalar(retiring.returning(SigningKey.id)) is not None:
            audit.record(Event.KEY_RETIRED, actor, kid=kid)
        elif db.session.scalar(select(SigningKey.id).where(SigningKey.kid == kid)) is None:
            raise UnknownKey(json.dumps(kid))


def _supersede(number: int, signs_until: datetime) -> None:
    before = update(SigningKey).where(SigningKey.id < number, SigningKey.signs_until.is_(None))
    db.session.execute(
        before.values(signs_until=signs_until, expires_at=signs_until + longest_lifetime())
    )
