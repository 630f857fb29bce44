"""The check that all servers have the same secret.

Servers with different secrets reject each other's tokens, so requests fail at random. The first
server records the fingerprint of its SECRET_KEY in the database. A process agrees with it if its
SECRET_KEY or one of its SECRET_KEY_FALLBACKS has that fingerprint. If only a fallback does, the
secret is being rotated, and the process records the fingerprint of its own SECRET_KEY, once. So
after the last restart the new secret is recorded, whatever the order of restarts, and previous and
new processes do not overwrite each other's record repeatedly.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask
from sqlalchemy import Integer, String, column, literal, select, table
from sqlalchemy.exc import SQLAlchemyError

from project.database import failures
from project.database.writes import INSERTS
from project.extensions import add_component, autocommit, get_component
from project.security import fingerprint

RECORD = table(
    "secret_fingerprint",
    column("id", Integer),
    column("salt", String),
    column("fingerprint", String),
)
ONLY = 1
"""The id of the only row."""

RECORDED = select(RECORD.c.salt, RECORD.c.fingerprint).where(RECORD.c.id == ONLY)

REMEDY = (
    "give every server the same SECRET_KEY; if this one replaces a leaked secret, run: python "
    "manage.py adopt_secret"
)

log = logging.getLogger(__name__)


class SharedSecret:
    """The secrets of one app, compared with the recorded fingerprint."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._current: str = config["SECRET_KEY"]
        self._accepted: Sequence[str] = [self._current, *config["SECRET_KEY_FALLBACKS"]]
        self._is_settled = False

    def agrees(self, salt: str | None, recorded: str | None) -> bool:
        """Return whether one of the app's secrets is the recorded one, or none is recorded."""
        if salt is None:
            return True
        return any(fingerprint.compute(secret, salt) == recorded for secret in self._accepted)

    def settle(self, salt: str | None, recorded: str | None) -> None:
        """Record the app's secret, at most once, if none is recorded or one of its fallbacks is."""
        if self._is_settled:
            return
        self._is_settled = True
        if salt is None or fingerprint.compute(self._current, salt) != recorded:
            self.record(salt or fingerprint.new_salt(), recorded)

    def record(self, salt: str, replaced: str | None = None) -> None:
        """Record the app's secret, unless another process has replaced the record meanwhile."""
        own = fingerprint.compute(self._current, salt)
        insert = INSERTS[autocommit.engine.dialect.name](RECORD)
        statement = insert.values(id=ONLY, salt=salt, fingerprint=own).on_conflict_do_update(
            index_elements=[RECORD.c.id],
            set_={"fingerprint": own},
            where=(RECORD.c.salt == salt) & (RECORD.c.fingerprint == literal(replaced or own)),
        )
        with autocommit.engine.connect() as connection:
            connection.execute(statement)


def init_app(app: Flask) -> None:
    """Add the app's SharedSecret to it."""
    add_component(app, SharedSecret(app.config))


def current() -> SharedSecret:
    """Return the SharedSecret of the current app."""
    return get_component(SharedSecret)


def recorded() -> tuple[str | None, str | None]:
    """Return the recorded salt and fingerprint; both are None if none is recorded."""
    row = autocommit.first(RECORDED)
    return (row.salt, row.fingerprint) if row else (None, None)


def check_at_start() -> None:
    """Log an error if the other servers have a different secret; otherwise record this one."""
    try:
        salt, known = recorded()
        if current().agrees(salt, known):
            current().settle(salt, known)
        else:
            log.error("SECRET_KEY differs from that of the other servers; %s", REMEDY)
    except SQLAlchemyError as error:
        if not failures.is_outage(error):
            raise


def adopt() -> None:
    """Record this app's secret in place of the recorded one."""
    salt, known = recorded()
    current().record(salt or fingerprint.new_salt(), known)
