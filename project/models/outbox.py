"""The table of messages to deliver."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime

WAITING = text("done_at IS NULL")
DONE = text("done_at IS NOT NULL")


class Outcome(StrEnum):
    """The outcome of a message."""

    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Outbox(Base):
    """A message, from the transaction that queued it until `purge` deletes it.

    `due_at` is both the order and the lock: a claim sets `lease` and moves `due_at` into the
    future, so the message becomes due again if its process is killed. `attempts` counts claims,
    `deferrals` counts claims that ended in a temporary failure. The payload never contains a code,
    a link or the text of the message. The recipient is erased when the message is done, unless it
    failed and is no farewell.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(None, "due_at", postgresql_where=WAITING, sqlite_where=WAITING),
        Index(None, "done_at", postgresql_where=DONE, sqlite_where=DONE),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str | None] = mapped_column(String(320))
    user_id: Mapped[int | None] = mapped_column(index=True)
    language: Mapped[str] = mapped_column(String(8))
    payload: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    deferrals: Mapped[int] = mapped_column(default=0)
    lease: Mapped[UUID | None]
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str | None] = mapped_column(String(9))
    reason: Mapped[str | None] = mapped_column(String(200))
