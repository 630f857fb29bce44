"""The table with the fingerprint of SECRET_KEY."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from project.database.base import Base


class SecretFingerprint(Base):
    """The single row by which servers check that they share one SECRET_KEY."""

    __tablename__ = "secret_fingerprint"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    salt: Mapped[str] = mapped_column(String(32))
    fingerprint: Mapped[str] = mapped_column(String(8))
