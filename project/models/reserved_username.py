"""The table of reserved usernames."""

from datetime import datetime

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime


class ReservedUsername(Base):
    """A former username of an account. Until it expires, no other account can have it.

    `user_id` is NULL after the account is deleted.
    """

    __tablename__ = "reserved_usernames"

    username_key: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
