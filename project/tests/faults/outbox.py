"""2,000 messages, while delivering processes are killed each 0.2 s and the mail server goes away.

Every message arrives; no more arrive twice than processes were killed, and a duplicate is the same
to the byte.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from unittest import TestCase
from uuid import UUID, uuid4

import psutil
import pytest
from sqlalchemy import func, select

from project.accounts import outbox
from project.accounts.messages import OneTimeTokens
from project.clock import utcnow
from project.extensions import add_component, db
from project.models import Outbox, Outcome
from project.settings.mail_parsers import mail_url
from project.tests.delivery.case import FRONTEND, SENDER, Tokens, payload
from project.tests.faults.load import report
from project.tests.support import databases, servers, smtp
from project.tests.support.paths import ROOT
from project.tests.support.smtp import FaultyServer

MESSAGES = 2000
MEASURED = 500
BETWEEN_KILLS = 0.2
AWAY_AFTER = MESSAGES // 3
AWAY_SECONDS = 3.0
PATIENCE = 100.0
LEAST_A_SECOND = 50


@pytest.mark.timeout(600)
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
        }
        self.app = databases.new_app(self.url, **settings)
        self.enterContext(self.app.app_context())
        self.kills = 0

    def new_url(self) -> str:
        """Return the URL of an empty database."""
        return databases.new_database()

    def test_nothing_is_lost_whatever_is_killed(self) -> None:
        queued = {str(message) for message in self.queue(1)}
        with self.processes() as parent:
            self.assertTrue(self.server.wait_for(1, PATIENCE))
            queued |= {str(message) for message in self.queue(MESSAGES - 1)}
            began_at = time.monotonic()
            self.kill_until(parent, lambda: len(self.server.received) >= AWAY_AFTER)
            self.serving.close()
            gone_at = time.monotonic()
            self.kill_until(parent, lambda: time.monotonic() > gone_at + AWAY_SECONDS)
            with smtp.running(self.server, self.server.port):
                self.kill_until(parent, lambda: not self.waiting())
        seconds = time.monotonic() - began_at
        arrived = Counter(received.parsed["Message-ID"] for received in self.server.received)
        duplicates = sum(arrived.values()) - len(arrived)
        report(
            f"{MESSAGES} messages on {db.engine.name}, every process killed each {BETWEEN_KILLS} s",
            kills=self.kills,
            lost=len(queued) - len(arrived),
            duplicates=duplicates,
            seconds=seconds,
        )
        self.assertEqual({name.strip("<>").partition("@")[0] for name in arrived}, queued)
        self.assertLessEqual(duplicates, self.kills)
        self.assertEqual(len(set(self.server.received)), len(arrived))
        sent = select(func.count()).where(Outbox.outcome == Outcome.SENT)
        self.assertEqual(db.session.scalar(sent), MESSAGES)

    def test_a_process_delivers_fast(self) -> None:
        add_component(self.app, Tokens(), OneTimeTokens)
        environment = servers.environment(self.url) | self.mail_settings()
        self.queue(MEASURED)
        command = [sys.executable, "manage.py", "deliver"]
        with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
            self.assertTrue(self.server.wait_for(1))
            began_at = time.monotonic()
            self.assertTrue(self.server.wait_for(MEASURED, PATIENCE))
            rate = (MEASURED - 1) / (time.monotonic() - began_at)
            process.terminate()
        report(f"one process on {db.engine.name}", mails_a_second=rate)
        self.assertGreater(rate, LEAST_A_SECOND)

    def queue(self, number: int) -> list[UUID]:
        """Queue so many messages; the kind needs no code where nobody derives one."""
        made = [
            outbox.queue(
                "mail.password_changed",
                recipient=f"user{which}@members.net",
                language="en",
                payload=payload(disown=uuid4()),
                expires_at=utcnow() + timedelta(days=3),
            )
            for which in range(number)
        ]
        db.session.commit()
        return made

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

    def kill_until(self, parent: psutil.Process, is_over: object) -> None:
        """Kill every process that delivers, again and again."""
        clock, patience = threading.Event(), time.monotonic() + PATIENCE
        while not is_over():  # type: ignore[operator]
            self.assertLess(time.monotonic(), patience, f"{len(self.server.received)} came")
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
