"""The table of users. `User` also hashes passwords, and encodes and decodes tokens."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from project.clock import utcnow
from project.database.base import Base, UTCDateTime
from project.errors import Overloaded, TokenExpired, TokenInvalid
from project.extensions import bcrypt, db, get_component
from project.security import identifiers, tokens
from project.security.passwords import hashing
from project.security.signing_keys import Key
from project.security.tokens import Claims, KeySource, Purpose, TokenDecoder
from project.serving.hashing_pool import HashingPool, PoolFull

Result = TypeVar("Result")

DELETION_REQUESTED = text("deletion_requested_at IS NOT NULL")
"""Condition of a partial index, which finds the accounts to delete."""
UNVERIFIED = text("email_verified_at IS NULL")
"""Condition of a partial index, which finds the accounts that were never verified."""


class User(Base):
    """A user. Username and e-mail address are stored as typed; their normalized keys are unique."""

    __tablename__ = "users"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(
            None,
            "deletion_requested_at",
            postgresql_where=DELETION_REQUESTED,
            sqlite_where=DELETION_REQUESTED,
        ),
        Index(None, "created_at", postgresql_where=UNVERIFIED, sqlite_where=UNVERIFIED),
        # Otherwise SQLite reuses the id of the last user after it was deleted.
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
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    email_verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mail_refused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    language: Mapped[str | None] = mapped_column(String(8))
    deletion_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    query = db.session.query_property()
    """SQLAlchemy's legacy query interface, as in `User.query.filter_by(active=True)`."""

    def __init__(self, *, username: str, email: str, password: str, **columns: Any) -> None:
        super().__init__(**self.new_row(username, email, password), **columns)

    @staticmethod
    def new_row(
        username: str, email: str, password: str, network: str | None = None
    ) -> dict[str, Any]:
        """Return the columns of a new user, with the password hashed.

        Hashing takes as long as a login, and counts against the share of `network` in the hashing
        pool. Raises Overloaded.
        """
        return {
            "username": username,
            "username_key": identifiers.username_key(username),
            "email": email,
            "email_key": identifiers.email_key(email),
            "password": User.hash_password(password, network),
        }

    @staticmethod
    def hash_password(password: str, network: str | None = None) -> str:
        """Return the bcrypt hash of a password. Raises Overloaded."""
        work = partial(bcrypt.generate_password_hash, hashing.normalize(password), _bcrypt_rounds())
        hashed: bytes = _run_in_hashing_pool(work, network)
        return hashed.decode("ascii")

    @staticmethod
    def check_password(
        password_hash: str | None, password: str, network: str | None = None
    ) -> bool:
        """Return whether the password matches the hash. Raises Overloaded.

        The check takes the time of one hash of the configured cost in every case. A dummy hash is
        checked where there is no hash, or one not made by bcrypt; the result is then False.
        """
        cost = hashing.cost_of(password_hash or "")
        checked = password_hash if password_hash and cost else hashing.dummy_hash(_bcrypt_rounds())
        hashes = [checked, *hashing.dummy_hashes_up_to(cost or _bcrypt_rounds(), _bcrypt_rounds())]
        # A lone surrogate, which no client can send, counts as a wrong password, not an error.
        encoded = hashing.normalize(password).encode("utf-8", "surrogatepass")
        matches = _run_in_hashing_pool(partial(_check_all, hashes, encoded), network)
        return matches[0] and checked == password_hash

    @staticmethod
    def check_capacity(network: str | None = None) -> None:
        """Check that a password could be hashed now. Raises Overloaded."""
        if _hashing_pool().is_full(network):
            raise Overloaded

    @staticmethod
    def is_outdated(password_hash: str) -> bool:
        """Return whether the hash has another cost than the configured one."""
        return hashing.cost_of(password_hash) != _bcrypt_rounds()

    @staticmethod
    def encode_auth_token(claims: Claims, key: Key | None = None) -> str:
        """Return a token with these claims, signed by `key` or by the current signing key."""
        key = key or _key_source().signing_key(claims.purpose)
        return tokens.encode(claims, key, current_app.config["TOKEN_ISSUER"])

    @staticmethod
    def decode_auth_token(token: str, purpose: Purpose = Purpose.ACCESS) -> Claims:
        """Return the claims of a valid token. Raises TokenExpired or TokenInvalid."""
        try:
            return _token_decoder().decode(token, purpose, utcnow())
        except tokens.TokenExpired:
            raise TokenExpired from None
        except tokens.TokenRejected:
            raise TokenInvalid from None


def _bcrypt_rounds() -> int:
    rounds: int = current_app.config["BCRYPT_LOG_ROUNDS"]
    return rounds


def _run_in_hashing_pool(work: Callable[[], Result], network: str | None) -> Result:
    try:
        return _hashing_pool().run(work, network)
    except PoolFull:
        raise Overloaded from None


def _hashing_pool() -> HashingPool:
    return get_component(HashingPool)


def _check_all(hashes: list[str], password: bytes) -> list[bool]:
    return [bcrypt.check_password_hash(password_hash, password) for password_hash in hashes]


def _key_source() -> KeySource:
    return get_component(KeySource)  # type: ignore[type-abstract]  # SigningKeySource is above


def _token_decoder() -> TokenDecoder:
    return get_component(TokenDecoder)
