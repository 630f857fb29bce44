"""The table of accounts; `User` hashes passwords, and encodes and decodes tokens."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from project.clock import utcnow
from project.database.base import Base, UTCDateTime
from project.errors import Overloaded, TokenExpired, TokenInvalid
from project.extensions import bcrypt
from project.security import identifiers, tokens
from project.security.passwords import hashing
from project.security.signing_keys import Key
from project.security.tokens import Claims, KeySource, Purpose, TokenDecoder
from project.serving.hashing_pool import HashingPool, PoolFull

Result = TypeVar("Result")


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
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    email_verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mail_refused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    language: Mapped[str | None] = mapped_column(String(8))
    deletion_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def __init__(self, *, username: str, email: str, password: str, **columns: Any) -> None:
        super().__init__(**self.new_row(username, email, password), **columns)

    @staticmethod
    def new_row(
        username: str, email: str, password: str, network: str | None = None
    ) -> dict[str, Any]:
        """Return a new user's columns; the password is hashed, which takes as long as a login.

        `network` is whose share of the hashing places is used. Raises Overloaded.
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
        """Return the hash that is kept of a password. Raises Overloaded."""
        hash_it = partial(bcrypt.generate_password_hash, hashing.normalize(password), _rounds())
        hashed: bytes = _in_hashing_pool(hash_it, network)
        return hashed.decode("ascii")

    @staticmethod
    def check_password(kept_hash: str | None, password: str, network: str | None = None) -> bool:
        """Tell whether the password opens the hash. Raises Overloaded.

        Every answer takes the time of one hash of today's cost, also where there is no hash, or one
        that bcrypt did not make: against those nothing opens.
        """
        cost = hashing.cost_of(kept_hash or "")
        checked = kept_hash if kept_hash and cost else hashing.dummy_hash(_rounds())
        hashes = [checked, *hashing.dummy_hashes_up_to(cost or _rounds(), _rounds())]
        # A lone surrogate, which no client can send, must be a wrong password and not an error.
        typed = hashing.normalize(password).encode("utf-8", "surrogatepass")
        opened = _in_hashing_pool(partial(_check_all, hashes, typed), network)
        return opened[0] and checked == kept_hash

    @staticmethod
    def refuse_if_overloaded(network: str | None = None) -> None:
        """Raise Overloaded where a password could not be hashed now: before anything is done."""
        if _hashing_pool().is_full(network):
            raise Overloaded

    @staticmethod
    def is_outdated(kept_hash: str) -> bool:
        """Tell whether the hash has another cost than new ones."""
        return hashing.cost_of(kept_hash) != _rounds()

    @staticmethod
    def encode_auth_token(claims: Claims, key: Key | None = None) -> str:
        """Return the token of these claims, signed by this key or by the one that signs now."""
        key = key or _keyring().signing_key(claims.purpose)
        return tokens.encode(claims, key, current_app.config["TOKEN_ISSUER"])

    @staticmethod
    def decode_auth_token(token: str, purpose: Purpose = Purpose.ACCESS) -> Claims:
        """Return what a token of ours says. Raises TokenExpired or TokenInvalid."""
        try:
            return _token_decoder().decode(token, purpose, utcnow())
        except tokens.TokenOutdated:
            raise TokenExpired from None
        except tokens.TokenRejected:
            raise TokenInvalid from None


def _rounds() -> int:
    rounds: int = current_app.config["BCRYPT_LOG_ROUNDS"]
    return rounds


def _in_hashing_pool(work: Callable[[], Result], network: str | None) -> Result:
    try:
        return _hashing_pool().run(work, network)
    except PoolFull:
        raise Overloaded from None


def _hashing_pool() -> HashingPool:
    pool: HashingPool = current_app.extensions["hashing_pool"]
    return pool


def _check_all(hashes: list[str], password: bytes) -> list[bool]:
    return [bcrypt.check_password_hash(kept_hash, password) for kept_hash in hashes]


def _keyring() -> KeySource:
    keyring: KeySource = current_app.extensions["keyring"]
    return keyring


def _token_decoder() -> TokenDecoder:
    decoder: TokenDecoder = current_app.extensions["token_decoder"]
    return decoder
