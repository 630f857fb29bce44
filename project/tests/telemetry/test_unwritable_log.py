"""Servers whose log cannot be written: they continue to serve."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import TestCase

import psutil
import pytest

from project.tests.support import databases, servers
from project.tests.support.paths import ROOT
from project.tests.support.postgres import free_port
from project.tests.utils import OverHTTP

pytestmark = pytest.mark.processes


KINDS = ("granian", "gunicorn")
STANDARD_STREAMS = range(3)
LOOK_SECONDS = 0.5
MAX_PERCENT = 50.0
"""Maximum share of a core that an idle process uses."""


@pytest.mark.any_database
class TestUnwritableLog(TestCase):
    """Both servers, with their outputs redirected by a shell."""

    def setUp(self) -> None:
        url = databases.new_database()
        databases.new_app(url)
        self.settings = servers.environment(url)

    @contextmanager
    def serving(
        self, kind: str, outputs: str, output: int | None = None
    ) -> Iterator[psutil.Process]:
        """Serve with these redirections during the block; wait until the server responds."""
        port = free_port()
        command = f"exec {shlex.join(servers.command(kind, port))} {outputs}"
        server = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=ROOT, env=self.settings, stdout=output
        )
        self.caller = OverHTTP(f"http://127.0.0.1:{port}")
        try:
            servers.wait_until_open(port)
            yield psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(30)

    def assert_serves(self, name: str) -> None:
        """Assert that requests succeed, including those that are logged as events."""
        for _ in range(3):
            self.assertEqual(self.caller.get("/users").status, 401)
        reply = self.caller.register(name, f"{name}@example.com")
        self.assertEqual(reply.status, 201)
        self.assertEqual(self.caller.status(reply.body["auth_token"]).status, 200)

    def test_a_full_disk_loses_the_log_and_prints_a_warning_at_the_start(self) -> None:
        printed = databases.folder() / "printed"
        for kind in KINDS:
            with self.subTest(kind), self.serving(kind, f">/dev/full 2>{printed}"):
                self.assert_serves(kind)
            (line,) = printed.read_text().splitlines()
            self.assertRegex(line, "^warning: the log cannot be written.*No space left on device")

    def test_a_full_disk_for_both_outputs_delays_nothing(self) -> None:
        for kind in KINDS:
            with self.subTest(kind), self.serving(kind, ">/dev/full 2>&1"):
                self.assert_serves(kind)

    def test_closed_streams_are_replaced_by_the_null_device(self) -> None:
        for kind in KINDS:
            with self.subTest(kind), self.serving(kind, "<&- >&- 2>&-") as server:
                self.assert_serves(kind)
                for process in (server, *server.children()):
                    streams = [Path(f"/proc/{process.pid}/fd/{each}") for each in STANDARD_STREAMS]
                    self.assertEqual({str(file.readlink()) for file in streams}, {os.devnull})

    def test_the_server_continues_if_the_reader_of_its_log_has_ended(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                reading, write_connection = os.pipe()
                with self.serving(kind, "2>&1", write_connection) as server:
                    os.close(write_connection)
                    self.assert_serves(f"{kind}-read")
                    os.close(reading)
                    self.assert_serves(kind)
                    for process in (server, *server.children()):
                        self.assertLess(process.cpu_percent(LOOK_SECONDS), MAX_PERCENT)
