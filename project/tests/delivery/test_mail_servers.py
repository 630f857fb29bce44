"""Delivery by real processes: the thread of a worker, and the command."""

import os
import re
import signal
import subprocess
import sys
import threading
from unittest import TestCase

import pytest

from project.tests.delivery.case import FRONTEND, DeliveryCase
from project.tests.support import databases, servers
from project.tests.support.paths import ROOT
from project.tests.utils import OverHTTP

SHUTDOWN = 0.4
"""Seconds for a server to begin its end while a mail is in progress."""


@pytest.mark.processes
class TestProcesses(DeliveryCase):
    """On a database of their own."""

    def setUp(self) -> None:
        super().setUp()
        url = self.app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
        self.environment = servers.environment(
            url,
            APP_SETTINGS="project.config.DevelopmentConfig",
            DATABASE_URL=url,
            DRAIN_SECONDS="0",
            MAIL_URL=self.server.url,
            MAIL_FROM="no-reply@members.net",
            FRONTEND_URL=FRONTEND,
        )

    def test_the_first_request_starts_a_worker_that_ends_with_its_mail_sent(self) -> None:
        first, last = self.queue(), self.queue()
        with servers.process("granian", self.environment) as (process, address, said):
            self.assertEqual(self.server.connections, 0)

            def reply(_: str) -> str:
                if self.server.received:
                    process.send_signal(signal.SIGTERM)
                    threading.Event().wait(SHUTDOWN)
                return "250 ok"

            self.server.replies["message"] = reply
            self.assertEqual(OverHTTP(address).get("/health/live").status, 200)
            self.assertTrue(self.server.wait_for(2), said)
            process.wait(20)
        for message in (first, last):
            self.assert_done(message, "sent")
        self.assertEqual(len(self.server.received), 2)

    def test_the_command_delivers_until_a_signal_and_finishes_its_mail(self) -> None:
        first, never = self.queue(), self.queue()
        command = [sys.executable, "manage.py", "deliver"]
        with subprocess.Popen(command, cwd=ROOT, env=self.environment) as process:

            def reply(_: str) -> str:
                process.send_signal(signal.SIGTERM)
                threading.Event().wait(SHUTDOWN)
                return "250 ok"

            self.server.replies["message"] = reply
            self.assertEqual(process.wait(30), 0)
        self.assert_done(first, "sent")
        self.assertEqual(self.row(never).attempts, 0)
        self.assertEqual(self.server.commands["quit"], 1)

    def test_workers_do_not_deliver_if_the_setting_is_command(self) -> None:
        self.queue()
        settings = self.environment | {"MAIL_DELIVERY": "command"}
        with servers.started("granian", settings) as (address, _):
            for _ in range(4):
                self.assertEqual(OverHTTP(address).get("/health/live").status, 200)
        self.assertEqual(self.server.connections, 0)


@pytest.mark.processes
@pytest.mark.any_database
class TestImports(TestCase):
    """The modules that are loaded if no mail is sent."""

    def test_modules_of_mail_are_loaded_when_they_are_needed(self) -> None:
        program = "import sys, manage; print(*sys.modules)"
        environment = os.environ | {"INSTANCE_PATH": str(databases.folder())}
        for url in ("none:", "folder:"):
            loaded = subprocess.check_output(
                [sys.executable, "-c", program],
                env=environment | {"MAIL_URL": url},
                cwd=ROOT,
                text=True,
            )
            pattern = r"\b(smtplib|dns|jinja2\.sandbox|project\.delivery\.\w+)\b"
            unwanted = set(re.findall(pattern, loaded)) - {"project.delivery.outcomes"}
            self.assertEqual(unwanted, set())
