"""Last-seen times of sessions, to the minute, without a write during the request.

A request records its session in the memory of the process. A thread writes the recorded times to
the database once a minute. A process that is killed loses up to a minute of last-seen times.
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
"""Seconds between two flushes."""

UPDATE_LAST_SEEN = (
    update(Session)
    .where(Session.id == bindparam("session_id"), Session.last_seen_at < bindparam("minute"))
    .values(last_seen_at=bindparam("minute"))
)

log = logging.getLogger(__name__)


class LastSeen:
    """The last-seen times of one app in this process that are not written yet."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._recorded: dict[UUID, datetime] = {}
        self._flushing: dict[UUID, datetime] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def touch(self, session_id: UUID) -> None:
        """Record that the session was seen now."""
        self._recorded[session_id] = utcnow().replace(second=0, microsecond=0)
        if self._thread is None:
            self._start_thread()

    def seen_at(self, session_id: UUID, stored: datetime) -> datetime:
        """Return when the session was last seen: the later of the stored and the recorded time."""
        recorded = (times.get(session_id, stored) for times in (self._recorded, self._flushing))
        return max(stored, *recorded)

    def flush(self) -> None:
        """Write the recorded times to the database; on a database error they are lost."""
        self._flushing, self._recorded = self._recorded, {}
        times = self._flushing
        if not times:
            return
        rows = [{"session_id": each, "minute": minute} for each, minute in sorted(times.items())]
        try:
            with self.app.app_context(), db.engine.begin() as connection:
                connection.execute(UPDATE_LAST_SEEN, rows)
        except SQLAlchemyError as error:
            log.warning(
                "lost the last-seen times of %d sessions: %s", len(rows), type(error).__name__
            )

    def _start_thread(self) -> None:
        """Start the flushing thread, at the first request: servers fork after creating the app."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._flush_periodically, daemon=True)
                self._thread.start()

    def _flush_periodically(self) -> None:
        clock = threading.Event()
        while not clock.wait(INTERVAL):
            self.flush()


def init_app(app: Flask) -> None:
    """Create the app's `LastSeen`."""
    add_component(app, LastSeen(app))


def current() -> LastSeen:
    """Return the current app's `LastSeen`."""
    return get_component(LastSeen)
