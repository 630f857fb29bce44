"""Suppressed addresses: they receive no mail after a mail server reports that they do not exist.

They are stored in the throttle's table; `purge` deletes the expired rows.
"""

from datetime import timedelta

from sqlalchemy import delete, select, update

from project.accounts import audit
from project.accounts.actors import SERVICE
from project.accounts.audit import Event
from project.accounts.messages import FAREWELL, PREFIX, Claimed, Recipient, Skipped
from project.clock import utcnow
from project.database.writes import upsert
from project.extensions import autocommit, db, transaction, write_connection
from project.models import Throttle, User
from project.security import identifiers

SCOPE = "mail-suppressed"
SUPPRESSION = timedelta(days=30)


def suppress(address: str) -> None:
    """Suppress an address for 30 days, within the caller's transaction."""
    until = utcnow() + SUPPRESSION
    row = {"scope": SCOPE, "subject": identifiers.email_key(address), "count": 1}
    times = {"blocked_until": until, "expires_at": until}
    connection = write_connection()
    connection.execute(upsert(connection.dialect.name, Throttle, row | times, times))


def is_suppressed(address: str) -> bool:
    """Return whether the address is suppressed."""
    key = identifiers.email_key(address)
    found = select(Throttle.count).where(Throttle.scope == SCOPE, Throttle.subject == key)
    return autocommit.first(found.where(Throttle.expires_at > utcnow())) is not None


def unsuppress(address: str) -> bool:
    """End the suppression of an address; return whether it was suppressed."""
    key = identifiers.email_key(address)
    these = (Throttle.scope == SCOPE, Throttle.subject == key)
    with transaction():
        removed = delete(Throttle).where(*these).returning(Throttle.count)
        return db.session.scalar(removed) is not None


class StoredRecipients:
    """Returns the recipient stored with the message, unless that address is suppressed."""

    def resolve(self, message: Claimed) -> Recipient:
        """Return the recipient of a message. Raises Skipped."""
        if is_suppressed(message.recipient):
            raise Skipped("suppressed")
        return Recipient(message.recipient, message.user_id)

    def refused(self, message: Claimed, recipient: Recipient, reason: str) -> None:
        """Suppress the address and record it in the audit log."""
        with transaction():
            if message.kind != PREFIX + FAREWELL:  # whose account may be erased
                suppress(recipient.address)
            if recipient.user_id is not None:
                # Mail also goes to previous and future addresses of an account.
                current = (User.id == recipient.user_id, User.email == recipient.address)
                refused = update(User).where(*current)
                db.session.execute(refused.values(mail_refused_at=utcnow()))
            audit.record(
                Event.MAIL_FAILED,
                SERVICE,
                user_id=recipient.user_id,
                kind=message.kind,
                reason=reason,
            )
