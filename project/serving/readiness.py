"""Whether requests should be sent to this process now."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache

from alembic.script import ScriptDirectory
from sqlalchemy import Row, String, column, select, table
from sqlalchemy.exc import SQLAlchemyError

from project.database import deadline, failures
from project.errors import Draining, NotReady, SchemaBehind, SecretDiffers
from project.extensions import MIGRATIONS, autocommit
from project.serving import draining, shared_secret
from project.serving.shared_secret import ONLY

MAX_WAIT = 1.0
"""Seconds in which the database has to answer."""

APPLIED = select(
    column("version_num", String), shared_secret.RECORD.c.salt, shared_secret.RECORD.c.fingerprint
).select_from(
    table("alembic_version").outerjoin(shared_secret.RECORD, shared_secret.RECORD.c.id == ONLY)
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class History:
    """The migrations of this version of the service, and the last of them."""

    known: frozenset[str]
    heads: frozenset[str]

    def is_served_by(self, applied: set[str]) -> bool:
        """Tell whether a schema with these migrations has all that this version needs.

        One that this version does not know is a newer version's, which is being put in place;
        until then the older one has to go on.
        """
        return applied >= self.heads or bool(applied - self.known)


def check(*, may_write: bool = True) -> None:
    """Raise NotReady where the database does not answer, SchemaBehind, SecretDiffers or Draining.

    One statement on the wire reads all of it. If no secret is recorded, or a previous one, the
    first check also records this process's secret; a failure to do so does not matter here.
    """
    if draining.is_on():
        raise Draining
    deadline.begin(MAX_WAIT)
    rows = _rows()
    if not _history().is_served_by({row.version_num for row in rows}):
        raise SchemaBehind
    _check_secret(rows[0].salt, rows[0].fingerprint, may_write)


def _check_secret(salt: str | None, fingerprint: str | None, may_write: bool) -> None:
    shared = shared_secret.current()
    if not shared.agrees(salt, fingerprint):
        log.warning("not ready: the other servers have another SECRET_KEY")
        raise SecretDiffers
    if may_write:
        with suppress(SQLAlchemyError):  # a full disk, for example: reading goes on
            shared.settle(salt, fingerprint)


def _rows() -> Sequence[Row[str, str, str]]:
    with _reported_as_not_ready():
        return autocommit.all(APPLIED)


@contextmanager
def _reported_as_not_ready() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        if not failures.is_outage(error):
            raise
        log.warning("not ready: %s", failures.describe(error))
        raise (SchemaBehind if failures.lacks_table(error) else NotReady) from error


@cache
def _history() -> History:
    scripts = ScriptDirectory(str(MIGRATIONS))
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return History(known, frozenset(scripts.get_heads()))
