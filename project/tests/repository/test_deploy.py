"""The units of systemd in deploy/ are ones that would run."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

import pytest

import manage
from project.limits import SHUTDOWN_GRACE
from project.settings import SETTINGS
from project.tests.support.paths import ROOT

UNITS = ROOT / "deploy" / "systemd"
PYTHON = "/srv/users/.venv/bin/python"
DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


def unit(name: str) -> str:
    """Return what is written in a unit's file."""
    return (UNITS / name).read_text()


def value_of(text: str, name: str) -> str:
    """Return the value of a directive that a unit has once."""
    (value,) = re.findall(rf"(?m)^{name}=(.*)$", text)
    return str(value)


@pytest.mark.any_database
class TestSystemd(TestCase):
    """The services, and the timer that purges."""

    def test_every_service_runs_a_command_that_there_is(self) -> None:
        manage.manager.set_defaults()
        for file in UNITS.glob("*.service"):
            program, script, command = value_of(file.read_text(), "ExecStart").split()[:3]
            self.assertEqual((program, script), (PYTHON, "manage.py"))
            self.assertIn(command, manage.manager._commands)

    def test_every_service_is_the_same_installation(self) -> None:
        for name in (
            "User",
            "WorkingDirectory",
            "EnvironmentFile",
            "Environment",
            "StateDirectory",
        ):
            values = {value_of(file.read_text(), name) for file in UNITS.glob("*.service")}
            self.assertEqual(len(values), 1, name)

    def test_the_migration_is_the_explicit_command_and_never_cut_off(self) -> None:
        migration = unit("users-migration.service")
        self.assertEqual(value_of(migration, "ExecStart"), f"{PYTHON} manage.py db upgrade")
        self.assertEqual(value_of(migration, "TimeoutStartSec"), "infinity")
        self.assertNotIn("ExecStartPre", unit("users.service"))

    def test_the_service_is_given_the_time_to_end(self) -> None:
        service = unit("users.service")
        longest = int(str(DEFAULTS["DRAIN_SECONDS"])) + SHUTDOWN_GRACE
        self.assertGreater(int(value_of(service, "TimeoutStopSec")), longest)
        self.assertEqual(value_of(service, "KillMode"), "mixed")

    def test_the_service_can_write_where_its_instance_is(self) -> None:
        service = unit("users.service")
        self.assertEqual(value_of(service, "ProtectSystem"), "strict")
        folder = f"/var/lib/{value_of(service, 'StateDirectory')}"
        self.assertEqual(value_of(service, "Environment"), f"INSTANCE_PATH={folder}")
        self.assertIn("INSTANCE_PATH", DEFAULTS)

    def test_the_timer_starts_the_service_of_its_name_and_can_be_enabled(self) -> None:
        timer = unit("users-purge.timer")
        self.assertNotIn("Unit=", timer)
        self.assertIn("\n[Install]\nWantedBy=timers.target\n", timer)
        self.assertNotIn("[Install]", unit("users-purge.service"))

    def test_systemd_finds_nothing_wrong(self) -> None:
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd is not installed")
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for file in UNITS.iterdir():
            # It looks whether the program is there.
            (folder / file.name).write_text(file.read_text().replace(PYTHON, sys.executable))
        names = ("users.service", "users-migration.service", "users-purge.timer")
        done = subprocess.run(
            ["systemd-analyze", "verify", *(folder / name for name in names)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
