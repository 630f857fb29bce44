"""The service's one clock."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the present moment as an aware UTC datetime."""
    return datetime.now(UTC)
