"""The schema on one page."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from project.clock import utcnow
from project.database.base import Base, Moment
from project.errors import Overloaded, TokenExpired, TokenInvalid
from project.extensions import bcrypt
from project.models.outbox import Outbox  # noqa: F401  # so that the metadata knows its table
from project.security import hashing, identifiers, tokens
from project.security.hashing import HashingPool, PoolFull
from project.security.keys import Keyring
from project.security.tokens import Claims, Purpose

Result = TypeVar("Result")
ENDED = text("ended_at IS NOT NULL")
"""Most sessions are open: the index of the others is small."""


class User(Base):
    """An account. Username and e-mail address are kept as typed; their keys are unique."""

    __tablename__ = "users"
    __table_args__ = (
        Index(None, "created_at", "id"),
        # SQLite would give the id of the last user, once deleted, to the next one.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(128))
    username_key: Mapped[str] = mapped_column(Text, unique=True)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    password: Mapped[str] = mapped_column(String(128))
    active: Mapped[bool] = mapped_column(default=True)
    admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Moment, default=utcnow)

    def __init__(self, *, username: str, email: str, password: str, **columns: Any) -> None:
        super().__init__(**self.new_row(username, email, password), **columns)

    @staticmethod
    def new_row(username: str, email: str, password: str) -> dict[str, Any]:
        """Return a new user's columns; the password is hashed, which takes as long as a login.

        Raises Overloaded.
        """
        return {
            "username": username,
            "username_key": identifiers.username_key(username),
            "email": email,
            "email_key": identifiers.email_key(email),
            "password": User.hash_password(password),
        }

    @staticmethod
    def hash_password(password: str) -> str:
        """Return the hash that is kept of a password. Raises Overloaded."""
        hash_it = partial(bcrypt.generate_password_hash, hashing.normalize(password), _rounds())
        hashed: bytes = _in_hashing_pool(hash_it)
        return hashed.decode("ascii")

    @staticmethod
    def check_password(kept_hash: str | None, password: str) -> bool:
        """Tell whether the password opens the hash. Raises Overloaded.

        Every answer takes the time of one hash of today's cost, also where there is no hash, or one
        that bcrypt did not make: against those nothing opens.
        """
        cost = hashing.cost_of(kept_hash or "")
        checked = kept_hash if kept_hash and cost else hashing.decoy_hash(_rounds())
        hashes = [checked, *hashing.decoys_up_to(cost or _rounds(), _rounds())]
        # A lone surrogate, which no client can send, must be a wrong password and not an error.
        typed = hashing.normalize(password).encode("utf-8", "surrogatepass")
        opened = _in_hashing_pool(partial(_check_all, hashes, typed))
        return opened[0] and checked == kept_hash

    @staticmethod
    def refuse_if_overloaded() -> None:
        """Raise Overloaded where a password could not be hashed now: before anything is done."""
        if _hashing_pool().is_full():
            raise Overloaded

    @staticmethod
    def is_outdated(kept_hash: str) -> bool:
        """Tell whether the hash has another cost than new ones."""
        return hashing.cost_of(kept_hash) != _rounds()

    @staticmethod
    def encode_auth_token(claims: Claims) -> str:
        """Return the signed token that says this."""
        return tokens.encode(claims, _keyring().signing_key())

    @staticmethod
    def decode_auth_token(token: str, purpose: Purpose = Purpose.ACCESS) -> Claims:
        """Return what a token of ours says. Raises TokenExpired or TokenInvalid."""
        try:
            return tokens.decode(token, _keyring().verifying_keys, purpose, utcnow())
        except tokens.TokenOutdated:
            raise TokenExpired from None
        except tokens.TokenRejected:
            raise TokenInvalid from None


class Session(Base):
    """One login: it opens with tokens, is kept open by refreshing, and ends by logout or in time.

    `generation` counts the refreshes, and `refreshed_at` is when the last one was.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        # A user's open sessions are found without reading those that have ended.
        Index(None, "user_id", "ended_at"),
        Index(None, "expires_at"),
        Index(None, "ended_at", postgresql_where=ENDED, sqlite_where=ENDED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    generation: Mapped[int] = mapped_column(default=0)
    refreshed_at: Mapped[datetime] = mapped_column(Moment)
    last_seen_at: Mapped[datetime] = mapped_column(Moment)
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(200))
    ended_at: Mapped[datetime | None] = mapped_column(Moment)


class Revocation(Base):
    """A session that was ended before its time; its number is its place in the feed."""

    __tablename__ = "revocations"
    __table_args__ = (Index(None, "expires_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    ended_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)


class SigningKey(Base):
    """A pair of keys for tokens: published, then signing, and kept until its last token has died.

    A key is made under the number after the last, so that of two processes that would rotate at
    once one does. `jwk` is the public part, as JSON; `private_key` is encrypted,
    and empty once the key has expired and that was purged.
    `signs_until` and `expires_at` are set when a successor is made.
    """

    __tablename__ = "signing_keys"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(String(43), unique=True)
    algorithm: Mapped[str] = mapped_column(String(8))
    jwk: Mapped[str] = mapped_column(Text)
    private_key: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    signs_at: Mapped[datetime] = mapped_column(Moment)
    signs_until: Mapped[datetime | None] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    retired_at: Mapped[datetime | None] = mapped_column(Moment)


class Throttle(Base):
    """How many attempts a limit has counted for a subject, and until when it lets no more in.

    `told_until` is the end of the last wait of which the audit trail knows.
    """

    __tablename__ = "throttle"

    scope: Mapped[str] = mapped_column(String(20), primary_key=True)
    subject: Mapped[str] = mapped_column(String(320), primary_key=True)
    count: Mapped[int]
    blocked_until: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    told_until: Mapped[datetime | None] = mapped_column(Moment)


class KnownNetwork(Base):
    """A network from which somebody has logged in to an account."""

    __tablename__ = "known_networks"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    network: Mapped[str] = mapped_column(String(45), primary_key=True)
    last_login_at: Mapped[datetime] = mapped_column(Moment, index=True)


class AuditEvent(Base):
    """Something that was done to an account, a session or a key; it survives what it tells of."""

    __tablename__ = "audit_events"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # as SQLAlchemy reads it

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    event: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(index=True)
    session_id: Mapped[UUID | None]
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(200))
    details: Mapped[dict[str, str | int]] = mapped_column(JSON)


def _rounds() -> int:
    rounds: int = current_app.config["BCRYPT_LOG_ROUNDS"]
    return rounds


def _in_hashing_pool(work: Callable[[], Result]) -> Result:
    try:
        return _hashing_pool().run(work)
    except PoolFull:
        raise Overloaded from None


def _hashing_pool() -> HashingPool:
    pool: HashingPool = current_app.extensions["hashing_pool"]
    return pool


def _check_all(hashes: list[str], password: bytes) -> list[bool]:
    return [bcrypt.check_password_hash(kept_hash, password) for kept_hash in hashes]


def _keyring() -> Keyring:
    keyring: Keyring = current_app.extensions["keyring"]
    return keyring
