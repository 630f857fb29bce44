"""Whether this process has the secret that the other servers have.

Servers with different secrets reject each other's tokens, so that requests fail by chance. The
first server records the fingerprint of its SECRET_KEY in the database. A process agrees where its
SECRET_KEY or one of its SECRET_KEY_FALLBACKS has that fingerprint. Where it is a fallback, the
secret is being rotated: the process records the fingerprint of its SECRET_KEY instead, once. So in
every order of restarts the last one leaves the new secret on record, and no process writes again
and again while old and new ones run side by side.
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
"""The id of the one row."""

RECORDED = select(RECORD.c.salt, RECORD.c.fingerprint).where(RECORD.c.id == ONLY)

REMEDY = (
    "give every server the same SECRET_KEY; where this is a new secret that replaces a leaked one, "
    "run: python manage.py adopt_secret"
)

log = logging.getLogger(__name__)


class SharedSecret:
    """The secrets of one app, and whether it has recorded them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._current: str = config["SECRET_KEY"]
        self._accepted: Sequence[str] = [self._current, *config["SECRET_KEY_FALLBACKS"]]
        self._is_settled = False

    def agrees(self, salt: str | None, recorded: str | None) -> bool:
        """Return whether a secret of this app is the recorded one; nothing recorded agrees."""
        if salt is None:
            return True
        return any(fingerprint.compute(secret, salt) == recorded for secret in self._accepted)

    def settle(self, salt: str | None, recorded: str | None) -> None:
        """Record this app's secret, where none is recorded or a fallback is; at most once."""
        if self._is_settled:
            return
        self._is_settled = True
        if salt is None or fingerprint.compute(self._current, salt) != recorded:
            self.record(salt or fingerprint.new_salt(), recorded)

    def record(self, salt: str, replaced: str | None = None) -> None:
        """Record this app's secret, if the recorded one is still the one that it replaces."""
        made = fingerprint.compute(self._current, salt)
        insert = INSERTS[autocommit.engine.dialect.name](RECORD)
        statement = insert.values(id=ONLY, salt=salt, fingerprint=made).on_conflict_do_update(
            index_elements=[RECORD.c.id],
            set_={"fingerprint": made},
            where=(RECORD.c.salt == salt) & (RECORD.c.fingerprint == literal(replaced or made)),
        )
        with autocommit.engine.connect() as connection:
            connection.execute(statement)


def init_app(app: Flask) -> None:
    """Give the app its part."""
    add_component(app, SharedSecret(app.config))


def current() -> SharedSecret:
    """Return the current app's."""
    return get_component(SharedSecret)


def recorded() -> tuple[str | None, str | None]:
    """Return salt and fingerprint as they are recorded; None where they are not."""
    row = autocommit.first(RECORDED)
    return (row.salt, row.fingerprint) if row else (None, None)


def check_at_start() -> None:
    """Log an error where the other servers have another secret; else record this one."""
    try:
        salt, known = recorded()
        if current().agrees(salt, known):
            current().settle(salt, known)
        else:
            log.error("SECRET_KEY is not the one that the other servers have; %s", REMEDY)
    except SQLAlchemyError as error:
        if not failures.is_outage(error):
            raise


def adopt() -> None:
    """Record this app's secret, whatever is recorded."""
    salt, known = recorded()
    current().record(salt or fingerprint.new_salt(), known)
