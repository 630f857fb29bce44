"""The tables of the throttle: counters and known networks."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime


class Throttle(Base):
    """The counter of one rate limit (`scope`) for one subject.

    Attempts are rejected until `blocked_until`, and the counter is reset at `expires_at`.
    `audited_until` is the end of the last block that was recorded in the audit trail.
    """

    __tablename__ = "throttle"

    scope: Mapped[str] = mapped_column(String(20), primary_key=True)
    subject: Mapped[str] = mapped_column(String(320), primary_key=True)
    count: Mapped[int]
    blocked_until: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    audited_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class KnownNetwork(Base):
    """A network from which a login to an account has succeeded."""

    __tablename__ = "known_networks"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    network: Mapped[str] = mapped_column(String(45), primary_key=True)
    last_login_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
