"""2,000 password resets, while delivering processes are killed and the mail server stops.

Every mail arrives; there are no more duplicates than kills, and a duplicate has the same bytes, and
so the same Message-ID, code and link.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from unittest import TestCase
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import func, select

from project.accounts import outbox
from project.extensions import db
from project.models import Outbox, Outcome
from project.settings.mail_parsers import mail_url
from project.tests.delivery.case import FRONTEND, SENDER
from project.tests.faults.load import add_accounts, report
from project.tests.support import databases, servers, smtp
from project.tests.support.paths import ROOT
from project.tests.support.smtp import FaultyServer
from project.tests.utils import InProcess

REQUESTS = 2000
BETWEEN_KILLS = 0.2
AWAY_AFTER = REQUESTS // 3
AWAY_SECONDS = 3.0
PATIENCE = 60.0
"""Seconds without a mail before the test fails."""


@pytest.mark.timeout(1200)
class TestOutbox(TestCase):
    """On this run's kind of database."""

    def setUp(self) -> None:
        self.url = self.new_url()
        self.server = FaultyServer()
        self.serving = self.enterContext(ExitStack())
        self.serving.enter_context(smtp.running(self.server))
        settings = {
            "MAIL_URL": mail_url(self.server.url),
            "MAIL_FROM": SENDER,
            "FRONTEND_URL": FRONTEND,
            "THROTTLE_ENABLED": False,
            "LOG_LEVEL": "WARNING",
        }
        self.app = databases.new_app(self.url, **settings)
        self.enterContext(self.app.app_context())
        self.kills = 0

    def new_url(self) -> str:
        """Return the URL of an empty database."""
        return databases.new_database()

    def test_nothing_is_lost_whatever_is_killed(self) -> None:
        add_accounts(REQUESTS)
        self.request([0])
        with self.processes() as parent, ThreadPoolExecutor(1) as client:
            self.assertTrue(self.server.wait_for(1, PATIENCE))
            began_at = time.monotonic()
            requested = client.submit(self.request, range(1, REQUESTS))
            self.kill_until(parent, lambda: len(self.server.received) >= AWAY_AFTER)
            self.serving.close()
            gone_at = time.monotonic()
            self.kill_until(parent, lambda: time.monotonic() > gone_at + AWAY_SECONDS)
            with smtp.running(self.server, self.server.port):
                self.kill_until(parent, lambda: requested.done() and not self.waiting())
            requested.result()
        seconds = time.monotonic() - began_at
        arrived = Counter(received.parsed["Message-ID"] for received in self.server.received)
        duplicates = sum(arrived.values()) - len(arrived)
        report(
            f"{REQUESTS} resets on {db.engine.name}, every process killed each {BETWEEN_KILLS} s",
            kills=self.kills,
            lost=REQUESTS - len(arrived),
            duplicates=duplicates,
            seconds=seconds,
        )
        queued = {str(message) for message in db.session.scalars(select(Outbox.id))}
        self.assertEqual({name.strip("<>").partition("@")[0] for name in arrived}, queued)
        self.assertLessEqual(duplicates, self.kills)
        self.assertEqual(len(set(self.server.received)), len(arrived))
        sent = select(func.count()).where(Outbox.outcome == Outcome.SENT)
        self.assertEqual(db.session.scalar(sent), REQUESTS)

    def request(self, numbers: Iterable[int]) -> None:
        """Request a password reset for each of these accounts."""
        caller = InProcess(self.app.test_client())
        for number in numbers:
            reply = caller.post("/auth/password/reset", {"email": f"user{number}@members.net"})
            self.assertEqual(reply.status, 202)

    def mail_settings(self) -> dict[str, str]:
        """Return the environment's settings of mail."""
        return {
            "MAIL_URL": self.server.url,
            "MAIL_FROM": "no-reply@members.net",
            "FRONTEND_URL": FRONTEND,
        }

    @contextmanager
    def processes(self) -> Iterator[psutil.Process]:
        """Start the delivering processes; yield the one that replaces those that are killed."""
        environment = servers.environment(self.url) | self.mail_settings()
        command = [sys.executable, "-m", "project.tests.faults.delivering"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                yield psutil.Process(process.pid)
            finally:
                os.killpg(process.pid, signal.SIGKILL)

    def kill_until(self, parent: psutil.Process, is_over: Callable[[], bool]) -> None:
        """Kill every process that delivers, again and again, for as long as mails arrive."""
        clock, arrived, patience = threading.Event(), 0, time.monotonic() + PATIENCE
        while not is_over():
            if len(self.server.received) > arrived:
                arrived, patience = len(self.server.received), time.monotonic() + PATIENCE
            self.assertLess(time.monotonic(), patience, f"{arrived} came")
            clock.wait(BETWEEN_KILLS)
            for child in parent.children():
                with suppress(psutil.NoSuchProcess):
                    child.kill()
                    self.kills += 1

    def waiting(self) -> int:
        """Return how many messages are not done."""
        return sum(outbox.pending().values())


class TestOutboxOnSQLite(TestOutbox):
    """The same on SQLite, where the run is about PostgreSQL."""

    def new_url(self) -> str:
        """Return the URL of an empty database."""
        return f"sqlite:///{databases.folder() / uuid4().hex}.sqlite"

    def setUp(self) -> None:
        if databases.kind() == "sqlite":
            self.skipTest("this run's own kind")
        super().setUp()
