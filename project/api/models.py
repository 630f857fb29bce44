"""The schema on one page."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import JSON, Enum, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from project.clock import utcnow
from project.database import Base, Moment
from project.errors import TokenExpired, TokenInvalid
from project.extensions import bcrypt
from project.security import hashing, identifiers, tokens
from project.security.keys import Algorithm, Keyring
from project.security.tokens import Claims, Purpose

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
        """Return a new user's columns; the password is hashed, which takes as long as a login."""
        return {
            "username": username,
            "username_key": identifiers.username_key(username),
            "email": email,
            "email_key": identifiers.email_key(email),
            "password": bcrypt.generate_password_hash(hashing.normalize(password)).decode("ascii"),
        }

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
        Index(None, "expires_at"),
        Index(None, "ended_at", postgresql_where=ENDED, sqlite_where=ENDED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
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
    once one does. `jwk` is the public part, as it is published; `private_key` is encrypted,
    and empty once the key has expired and that was purged.
    `signs_until` and `expires_at` are set when a successor is made.
    """

    __tablename__ = "signing_keys"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(String(43), unique=True)
    algorithm: Mapped[Algorithm] = mapped_column(
        Enum(Algorithm, native_enum=False, length=8, values_callable=list)
    )
    jwk: Mapped[dict[str, str]] = mapped_column(JSON)
    private_key: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    signs_at: Mapped[datetime] = mapped_column(Moment)
    signs_until: Mapped[datetime | None] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    retired_at: Mapped[datetime | None] = mapped_column(Moment)


def _keyring() -> Keyring:
    keyring: Keyring = current_app.extensions["keyring"]
    return keyring
