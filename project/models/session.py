"""The tables of sessions and of the revocation feed."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime

ENDED = text("ended_at IS NOT NULL")
"""Condition of a partial index, which is small since most sessions are open."""


class Session(Base):
    """A session: started by a login, extended by refreshes, ended by logout or expiry.

    `generation` counts the refreshes; `refreshed_at` and `refreshed_network` are the time and the
    network of the last one. `grace_responses` counts how often the refresh token of the previous
    generation has been accepted since. `authenticated_at` is when the user last authenticated.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        # Finds a user's open sessions without reading the ended ones.
        Index(None, "user_id", "ended_at"),
        Index(None, "expires_at"),
        Index(None, "ended_at", postgresql_where=ENDED, sqlite_where=ENDED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    generation: Mapped[int] = mapped_column(default=0)
    refreshed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    refreshed_network: Mapped[str | None] = mapped_column(String(45))
    grace_responses: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(200))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    authenticated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Revocation(Base):
    """A session that was ended before it expired; `id` is its position in the revocation feed."""

    __tablename__ = "revocations"
    __table_args__ = (Index(None, "expires_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    ended_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
