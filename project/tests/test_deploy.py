"""The examples in deploy/ are ones that would run."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

import pytest

import manage
from project.tests import servers

UNITS = servers.ROOT / "deploy" / "systemd"


@pytest.mark.any_database
class TestSystemd(TestCase):
    """The service and the timer that purge."""

    def setUp(self) -> None:
        self.service = (UNITS / "users-purge.service").read_text()
        self.timer = (UNITS / "users-purge.timer").read_text()

    def test_the_service_runs_a_command_that_there_is(self) -> None:
        manage.manager.set_defaults()
        (command,) = re.findall(r"(?m)^ExecStart=\S+/python manage\.py (\w+)$", self.service)
        self.assertIn(command, manage.manager._commands)

    def test_the_timer_starts_the_service_of_its_name_and_can_be_enabled(self) -> None:
        self.assertNotIn("Unit=", self.timer)
        self.assertIn("\n[Install]\nWantedBy=timers.target\n", self.timer)
        self.assertNotIn("[Install]", self.service)

    def test_systemd_finds_nothing_wrong(self) -> None:
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd is not installed")
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        # It looks whether the program is there.
        there = self.service.replace("/srv/users/.venv/bin/python", sys.executable)
        (folder / "users-purge.service").write_text(there)
        (folder / "users-purge.timer").write_text(self.timer)
        done = subprocess.run(
            ["systemd-analyze", "verify", folder / "users-purge.timer"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
