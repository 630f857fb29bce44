"""Changing the e-mail address of an account."""

from sqlalchemy import bindparam, select

from project.clock import utcnow
from project.extensions import autocommit
from project.models import OneTimeToken

PURPOSE = "email_change"
PENDING = (
    select(OneTimeToken.new_email)
    .where(
        OneTimeToken.user_id == bindparam("user_id"),
        OneTimeToken.purpose == PURPOSE,
        OneTimeToken.used_at.is_(None),
        OneTimeToken.expires_at > bindparam("now"),
    )
    .order_by(OneTimeToken.created_at.desc(), OneTimeToken.id)
    .limit(1)
)


def pending(user_id: int) -> str | None:
    """Return the address to which a user's address is about to change, or None."""
    newest = autocommit.first(PENDING, user_id=user_id, now=utcnow())
    return newest.new_email if newest else None
