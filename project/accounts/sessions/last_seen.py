"""When a session was last seen, to the minute, without a write in the request that sees it.

A request only notes its session in this process's memory; once a minute the notes are written in
one go. What is noted when a process is killed is lost: a minute of "last seen", and nothing else.
"""

import logging
import threading
from datetime import datetime
from uuid import UUID

from flask import Flask
from sqlalchemy import bindparam, update
from sqlalchemy.exc import SQLAlchemyError

from project.clock import utcnow
from project.extensions import add_component, db, get_component
from project.models import Session

INTERVAL = 60.0
"""Seconds between two writings."""

SEEN = (
    update(Session)
    .where(Session.id == bindparam("seen"), Session.last_seen_at < bindparam("minute"))
    .values(last_seen_at=bindparam("minute"))
)

log = logging.getLogger(__name__)


class LastSeen:
    """The notes of one app in this process."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._noted: dict[UUID, datetime] = {}
        self._being_written: dict[UUID, datetime] = {}
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None

    def touch(self, session_id: UUID) -> None:
        """Remember that the session was seen now."""
        self._noted[session_id] = utcnow().replace(second=0, microsecond=0)
        if self._writer is None:
            self._start()

    def seen_at(self, session_id: UUID, written: datetime) -> datetime:
        """Return when the session was last seen, given what the database has written of it."""
        noted = (notes.get(session_id, written) for notes in (self._noted, self._being_written))
        return max(written, *noted)

    def flush(self) -> None:
        """Write what was noted; a database that is away costs the notes and nothing else."""
        self._being_written, self._noted = self._noted, {}
        noted = self._being_written
        if not noted:
            return
        rows = [{"seen": seen, "minute": minute} for seen, minute in sorted(noted.items())]
        try:
            with self.app.app_context(), db.engine.begin() as connection:
                connection.execute(SEEN, rows)
        except SQLAlchemyError as error:
            log.warning(
                "when %d sessions were last seen is lost: %s", len(rows), type(error).__name__
            )

    def _start(self) -> None:
        """Start the thread that writes; here and not at start, since servers fork after that."""
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_for_ever, daemon=True)
                self._writer.start()

    def _write_for_ever(self) -> None:
        clock = threading.Event()
        while not clock.wait(INTERVAL):
            self.flush()


def init_app(app: Flask) -> None:
    """Give the app its notes."""
    add_component(app, LastSeen(app))


def current() -> LastSeen:
    """Return the current app's notes."""
    return get_component(LastSeen)
