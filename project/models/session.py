"""The tables of sessions and of the feed of ended ones."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime

ENDED = text("ended_at IS NOT NULL")
"""Most sessions are open: the index of the others is small."""


class Session(Base):
    """One login: it opens with tokens, is kept open by refreshing, and ends by logout or in time.

    `generation` counts the refreshes; `refreshed_at` and `refreshed_network` are when and from
    which network the last one was. `grace_responses` counts how often the refresh token of the
    generation before was accepted since. `authenticated_at` is when the user last authenticated.
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
    """A session that was ended before its time; its number is its place in the feed."""

    __tablename__ = "revocations"
    __table_args__ = (Index(None, "expires_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    ended_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
