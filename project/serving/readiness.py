"""The readiness check: whether this process can handle requests now."""

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
"""Seconds within which the database has to respond."""

APPLIED = select(
    column("version_num", String), shared_secret.RECORD.c.salt, shared_secret.RECORD.c.fingerprint
).select_from(
    table("alembic_version").outerjoin(shared_secret.RECORD, shared_secret.RECORD.c.id == ONLY)
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class History:
    """The migrations that this version of the service knows, and the latest of them."""

    known: frozenset[str]
    heads: frozenset[str]

    def supports(self, applied: set[str]) -> bool:
        """Return whether this version works on a schema with these migrations applied.

        An unknown migration belongs to a newer version, during whose deployment the previous
        version must continue to serve.
        """
        return applied >= self.heads or bool(applied - self.known)


def check(*, may_write: bool = True) -> None:
    """Raise NotReady, SchemaBehind, SecretDiffers or Draining if the process is not ready.

    A single statement tests the connection, and reads the schema's revision and the recorded
    secret. If none or a previous one is recorded, the first check also records the secret; the
    check does not fail if that fails.
    """
    if draining.is_on():
        raise Draining
    deadline.begin(MAX_WAIT)
    rows = _fetch_applied()
    if not _history().supports({row.version_num for row in rows}):
        raise SchemaBehind
    _check_secret(rows[0].salt, rows[0].fingerprint, may_write)


def _check_secret(salt: str | None, fingerprint: str | None, may_write: bool) -> None:
    shared = shared_secret.current()
    if not shared.agrees(salt, fingerprint):
        log.warning("not ready: the other servers have a different SECRET_KEY")
        raise SecretDiffers
    if may_write:
        with suppress(SQLAlchemyError):  # for example a full disk, on which reads still work
            shared.settle(salt, fingerprint)


def _fetch_applied() -> Sequence[Row[str, str, str]]:
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
