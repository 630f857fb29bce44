"""Changing the e-mail address of an account."""

from sqlalchemy import select

from project.clock import utcnow
from project.extensions import autocommit
from project.models import OneTimeToken

PURPOSE = "email_change"


def pending(user_id: int) -> str | None:
    """Return the address that waits for confirmation, or None."""
    unused = (OneTimeToken.used_at.is_(None), OneTimeToken.expires_at > utcnow())
    newest = (
        select(OneTimeToken.new_email)
        .where(OneTimeToken.user_id == user_id, OneTimeToken.purpose == PURPOSE, *unused)
        .order_by(OneTimeToken.created_at.desc())
        .limit(1)
    )
    found = autocommit.first(newest)
    return found.new_email if found else None
