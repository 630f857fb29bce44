"""The table of signing keys."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime


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
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    signs_at: Mapped[datetime] = mapped_column(UTCDateTime)
    signs_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
