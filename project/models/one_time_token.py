"""The table of one-time tokens."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime


class OneTimeToken(Base):
    """A token that confirms one operation on an account; code and link are derived from its id.

    `user_id` is NULL until delivery if the request did not look up the account; until then the
    token confirms nothing. `new_email` is the address that the token will set. `attempts` is the
    number of codes that were compared.
    """

    __tablename__ = "one_time_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    purpose: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    address_key: Mapped[str] = mapped_column(Text, index=True)
    new_email: Mapped[str | None] = mapped_column(String(254))
    session_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
