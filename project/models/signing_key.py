"""The table of signing keys."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base, UTCDateTime


class SigningKey(Base):
    """A key pair that signs tokens: published first, then signing, then verifying until it expires.

    `id` is the id of the previous key plus one, so that only one of two processes rotates at a
    time. `jwk` is the public key as JSON. `private_key` is encrypted; a purge empties it once the
    key has expired. `signs_until` and `expires_at` are set when the next key is created.
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
