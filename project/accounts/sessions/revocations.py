"""The revocation feed: ended sessions, for services that verify tokens themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from uuid import UUID

from sqlalchemy import bindparam, select

from project.accounts import signing_keys
from project.clock import utcnow
from project.extensions import autocommit
from project.models import Revocation

MAX_PAGE = 1000
VISIBILITY_LAG = timedelta(seconds=10)
"""How long a row may become visible after a row with a larger id, since it was committed later."""

ROWS_AFTER = (
    select(Revocation.id, Revocation.session_id, Revocation.ended_at)
    .where(Revocation.id > bindparam("after"), Revocation.expires_at > bindparam("now"))
    .order_by(Revocation.id)
    .limit(MAX_PAGE)
)


@dataclass(frozen=True, slots=True)
class Page:
    """Ids of ended sessions in order, the cursor of the next page, and the ids of retired keys."""

    session_ids: Sequence[UUID]
    next: int
    retired_keys: Sequence[str]


def list_after(cursor: int) -> Page:
    """Return the sessions that ended after the cursor and have not expired yet.

    The next cursor stays before rows younger than VISIBILITY_LAG, since a row with a smaller id may
    still become visible. Such rows are repeated in the next page, and none is missed.
    """
    now = utcnow()
    rows = autocommit.all(ROWS_AFTER, after=cursor, now=now)
    stable = list(takewhile(lambda row: row.ended_at <= now - VISIBILITY_LAG, rows))
    return Page(
        [row.session_id for row in rows],
        next=stable[-1].id if stable else cursor,
        retired_keys=signing_keys.list_retired(),
    )
