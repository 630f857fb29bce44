"""A million users and sessions: what is asked takes no longer than it does with a thousand."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from random import Random
from statistics import median
from unittest import TestCase

import pytest
from flask import Flask
from sqlalchemy import select, update

from project.accounts import retention
from project.accounts.directory import Cursor
from project.api.schemas.fields import format_cursor
from project.clock import utcnow
from project.extensions import db
from project.models import Session, User
from project.security.tokens import Claims, Purpose
from project.tests.faults import crowd
from project.tests.support import databases, servers
from project.tests.utils import OverHTTP, Reply

SMALL = 1_000
LARGE = 1_000_000
REQUESTS = 200
"""Of each kind to each database, by turns: whatever else the machine does, both feel it."""

BATCHES = 40
MAX_TIMES = 2.0
"""How much longer a median may be at the large database."""

DEVICES = 100
"""As many sessions as a user may have."""

ADMINISTRATOR, COLLECTOR, VISITOR = 1, 2, 3
VISITS_A_USER = 0.05
"""How many sessions the visitor has ended: fifty thousand among a million users."""

PAGE = 50


class Side:
    """One database, a service on it, and those who ask it."""

    def __init__(self, users: int, running: ExitStack) -> None:
        self.users = users
        url = databases.new_database()
        self.app: Flask = databases.new_app(url)
        began_at = time.monotonic()
        crowd.fill(self.app, users)
        crowd.add_sessions(self.app, COLLECTOR, DEVICES - 1)
        crowd.add_ended(self.app, VISITOR, int(VISITS_A_USER * users))
        self.seconds_to_fill = time.monotonic() - began_at
        self.members = Random(1).sample(range(VISITOR + 1, users + 1), REQUESTS)
        with self.app.app_context():
            self._look()
        server, _ = running.enter_context(
            servers.started("granian", servers.environment(url), workers=1)
        )
        self.caller = OverHTTP(server)

    def _look(self) -> None:
        """Note the tokens of those who ask, and places in the list of users."""
        db.session.execute(update(User).where(User.id == ADMINISTRATOR).values(admin=True))
        db.session.commit()
        self.administrator, self.collector = token_of(ADMINISTRATOR), token_of(COLLECTOR)
        self.tokens = [token_of(member) for member in self.members]
        made = select(User.created_at, User.id).where(User.id.in_(self.members))
        self.places = [format_cursor(Cursor(*row)) for row in db.session.execute(made)]


def token_of(user_id: int) -> str:
    """Return a token of a session of a user, in the current app."""
    session_id = db.session.scalars(select(Session.id).where(Session.user_id == user_id)).first()
    assert session_id is not None
    now = utcnow()
    expires_at = now + timedelta(hours=1)
    return User.encode_auth_token(Claims(user_id, session_id, Purpose.ACCESS, now, expires_at))


ASKED: Mapping[str, Callable[[Side, int], Reply]] = {
    "status": lambda side, turn: side.caller.status(side.tokens[turn]),
    "login": lambda side, turn: side.caller.login(f"member{side.members[turn]}@example.com"),
    "frequent login": lambda side, _: side.caller.login(f"member{VISITOR}@example.com"),
    "first page": lambda side, _: side.caller.get(f"/users?limit={PAGE}", side.administrator),
    "page anywhere": lambda side, turn: side.caller.get(
        f"/users?limit={PAGE}&after={side.places[turn]}", side.administrator
    ),
    "one user": lambda side, turn: side.caller.get(
        f"/users/{side.members[turn]}", side.administrator
    ),
    f"{DEVICES} sessions": lambda side, _: side.caller.get("/auth/sessions", side.collector),
}


@pytest.mark.timeout(1200)
class TestLargeDatabase(TestCase):
    """Two services at the same time, asked by turns."""

    def setUp(self) -> None:
        running = self.enterContext(ExitStack())
        self.sides = [Side(users, running) for users in (SMALL, LARGE)]

    def test_nothing_takes_longer_for_there_being_many(self) -> None:
        medians = {name: self.compare(REQUESTS, self.ask(call)) for name, call in ASKED.items()}
        medians["purged batch"] = self.compare(BATCHES, self.purge)
        print(f"\nMedian milliseconds with {SMALL} users and sessions, and with {LARGE}")
        for name, (small, large) in medians.items():
            print(f"  {name:15} {small:8.2f} {large:8.2f}  x {large / small:.2f}")
        print(f"  filled in {self.sides[-1].seconds_to_fill:.0f} seconds")
        grown = {name for name, (small, large) in medians.items() if large > MAX_TIMES * small}
        self.assertEqual(grown, set())

    def compare(self, times: int, take: Callable[[Side, int], float]) -> list[float]:
        """Return the median of what this took each side, in milliseconds."""
        taken: list[list[float]] = [[] for _ in self.sides]
        for turn in range(times):
            by_turns = reversed(range(len(taken))) if turn % 2 else range(len(taken))
            for which in by_turns:
                taken[which].append(1000 * take(self.sides[which], turn))
        return [median(each) for each in taken]

    def ask(self, call: Callable[[Side, int], Reply]) -> Callable[[Side, int], float]:
        """Return what asks once; it returns the seconds until the answer, which has to be good."""

        def ask(side: Side, turn: int) -> float:
            began_at = time.perf_counter()
            reply = call(side, turn)
            taken = time.perf_counter() - began_at
            self.assertEqual(reply.status, 200)
            return taken

        return ask

    def purge(self, side: Side, _: int) -> float:
        """Have a batch of sessions to delete; return the seconds that this takes."""
        crowd.add_expired(side.app, retention.BATCH_SIZE)
        with side.app.app_context():
            began_at = time.perf_counter()
            batch = next(retention.purge())
            taken = time.perf_counter() - began_at
        self.assertEqual(batch.rows, retention.BATCH_SIZE)
        return taken
