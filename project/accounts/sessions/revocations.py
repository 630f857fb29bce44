"""The feed of ended sessions, for services that verify tokens by themselves."""

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
"""How long a transaction may take to show its row behind one with a larger number."""

LATER = (
    select(Revocation.id, Revocation.session_id, Revocation.ended_at)
    .where(Revocation.id > bindparam("after"), Revocation.expires_at > bindparam("now"))
    .order_by(Revocation.id)
    .limit(MAX_PAGE)
)


@dataclass(frozen=True, slots=True)
class Page:
    """Session ids in the order of their ending, where to go on, and the ids of retired keys."""

    session_ids: Sequence[UUID]
    next: int
    retired_keys: Sequence[str]


def after(cursor: int) -> Page:
    """Return the sessions that ended behind a place in the feed and have not expired yet.

    The next place never lies behind a row so young that one with a smaller number may still become
    visible: such rows come again with the next page, and none is ever missed.
    """
    now = utcnow()
    rows = autocommit.all(LATER, after=cursor, now=now)
    settled = list(takewhile(lambda row: row.ended_at <= now - VISIBILITY_LAG, rows))
    return Page(
        [row.session_id for row in rows],
        next=settled[-1].id if settled else cursor,
        retired_keys=signing_keys.retired(),
    )
