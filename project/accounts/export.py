"""The export: the data of a user in all tables, without hashes, secrets and tokens."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from project.accounts import audit, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.throttle.policies import EXPORTING, Subjects
from project.extensions import autocommit, transaction
from project.models import (
    AuditEvent,
    KnownNetwork,
    OneTimeToken,
    Outbox,
    ReservedUsername,
    Session,
    User,
)

Exported = dict[str, list[dict[str, Any]]]
"""The rows of each table, as mappings of columns to values."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the export: the column with the user's id, and the names of its columns.

    Every column is in `exported` or in `withheld`: a test fails for a new column in neither.
    """

    owner: InstrumentedAttribute[int] | InstrumentedAttribute[int | None]
    exported: str
    withheld: str = ""

    @property
    def name(self) -> str:
        """The name of the table."""
        return str(self.owner.class_.__tablename__)


TABLES = (
    Table(
        User.id,
        "id username email active admin created_at email_verified_at mail_refused_at language "
        "deletion_requested_at username_key email_key",
        withheld="password",
    ),
    Table(
        Session.user_id,
        "id user_id created_at expires_at refreshed_at refreshed_network last_seen_at address "
        "user_agent ended_at authenticated_at generation grace_responses",
    ),
    Table(KnownNetwork.user_id, "user_id network last_login_at"),
    Table(ReservedUsername.user_id, "username_key user_id expires_at"),
    Table(AuditEvent.user_id, "id at event user_id session_id address user_agent details"),
    Table(
        OneTimeToken.user_id,
        "purpose user_id address_key new_email session_id created_at expires_at attempts used_at",
        withheld="id",
    ),
    Table(
        Outbox.user_id,
        "id kind recipient user_id language created_at due_at expires_at attempts deferrals "
        "done_at outcome reason",
        withheld="payload lease",
    ),
)
"""Codes and links derive from the ids of one-time tokens, which the payloads of messages repeat."""

LEFT_OUT = {
    "revocations": "The rows contain only ids of sessions, which `sessions` also contains.",
    "secret_fingerprint": "The row is about the service.",
    "signing_keys": "The rows are about the service.",
    "throttle": "The counters name a user by a keyed digest, and expire within days.",
}
"""Tables that are not exported, with the reason."""


def export(user_id: int, actor: Actor) -> Exported:
    """Return the rows of every table that belong to a user. Raises TooManyAttempts."""
    throttle.count(EXPORTING, subjects=Subjects(actor, user_id=user_id))
    exported = {table.name: _rows(table, user_id) for table in TABLES}
    with transaction():
        audit.record(Event.ACCOUNT_EXPORTED, actor, user_id=user_id)
    return exported


def _rows(table: Table, user_id: int) -> list[dict[str, Any]]:
    """Return the user's rows of a table, in the order of its primary key."""
    columns = table.owner.class_.__table__.c
    rows = select(*(columns[name] for name in table.exported.split()))
    key = table.owner.class_.__table__.primary_key
    found = autocommit.all(rows.where(table.owner == user_id).order_by(*key))
    return [dict(row._mapping) for row in found]
