"""The table that holds the fingerprint of the shared secret."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base


class SecretFingerprint(Base):
    """The one row that tells servers whether they share SECRET_KEY; see security/fingerprint.py."""

    __tablename__ = "secret_fingerprint"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    salt: Mapped[str] = mapped_column(String(32))
    fingerprint: Mapped[str] = mapped_column(String(8))
