"""Load on real servers: calls at a steady rate, and every answer with its time."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy import insert

from project.extensions import db
from project.models import User
from project.tests import utils
from project.tests.utils import Caller, Reply

Call = Callable[[int], Reply]
"""Makes the request of this number."""

CROWD = 128
"""How many calls may wait for their answers together."""

NO_ANSWER = 0
"""The status where the connection was refused or cut."""


MEMBERS = 60
"""How many accounts log in by turns: of many logins to one at a time the throttle refuses some."""


@dataclass(frozen=True)
class Answer:
    """What came of one call; times are in seconds, of the monotonic clock."""

    number: int
    status: int
    began_at: float
    ended_at: float

    @property
    def seconds(self) -> float:
        """How long the client waited."""
        return self.ended_at - self.began_at

    @property
    def is_good(self) -> bool:
        """Whether what was asked was done."""
        return self.status in {200, 201}


def answer_to(call: Call, number: int) -> Answer:
    """Make one call; return what came of it."""
    began_at = time.monotonic()
    try:
        status = call(number).status
    except (OSError, http.client.HTTPException):
        status = NO_ANSWER
    return Answer(number, status, began_at, time.monotonic())


@dataclass
class Load:
    """Calls in turn, so many a second, with a connection for each."""

    calls: Sequence[Call]
    a_second: float
    responds: list[Answer] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call for as long as the block lasts; after it every answer is there."""
        pacer = threading.Thread(target=self._pace)
        pacer.start()
        try:
            yield
        finally:
            self.ended.set()
            pacer.join()

    def last(self, seconds: float) -> None:
        """Let the load go on for so long."""
        self.ended.wait(seconds)

    def _pace(self) -> None:
        """Begin each call in its time, whether those before have been answered or not."""
        began_at, number = time.monotonic(), 0
        with ThreadPoolExecutor(CROWD) as crowd:
            while not self.ended.wait(began_at + number / self.a_second - time.monotonic()):
                crowd.submit(self._call, number)
                number += 1

    def _call(self, number: int) -> None:
        call = self.calls[number % len(self.calls)]
        self.responds.append(answer_to(call, number))


def add_members(app: Flask) -> None:
    """Make the accounts that log in under load."""
    with app.app_context():
        for number in range(MEMBERS):
            utils.add_user(f"member{number}", f"member{number}@example.com")


def add_accounts(number: int) -> None:
    """Insert `user0@members.net` and so on into the database of the current app."""
    made = User.new_row("user", "user@members.net", utils.PASSWORD)
    names = [f"user{which}" for which in range(number)]
    rows = [
        made | {"username": name, "username_key": name, "email": email, "email_key": email}
        for name, email in zip(names, [f"{name}@members.net" for name in names], strict=True)
    ]
    db.session.execute(insert(User), rows)
    db.session.commit()


def log_in(caller: Caller, number: int) -> Reply:
    """Log in to the account whose turn it is."""
    return caller.login(f"member{number % MEMBERS}@example.com")


def register(caller: Caller, number: int) -> Reply:
    """Make the account of this number."""
    return caller.register(f"user{number}", f"user{number}@example.com", utils.PASSWORD)


def report(what: str, **figures: object) -> None:
    """Print what was measured."""
    print(f"\n{what}")
    for name, figure in figures.items():
        shown = f"{figure:.3f}" if isinstance(figure, float) else figure
        print(f"  {name.replace('_', ' ')}: {shown}")
