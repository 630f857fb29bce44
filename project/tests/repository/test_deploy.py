"""The systemd units in deploy/."""

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
    """Return the text of a unit."""
    return (UNITS / name).read_text()


def value_of(text: str, name: str) -> str:
    """Return the value of a directive, which the unit must have exactly once."""
    (value,) = re.findall(rf"(?m)^{name}=(.*)$", text)
    return str(value)


@pytest.mark.any_database
class TestSystemd(TestCase):
    """The services, and the timer of the purge."""

    def test_every_service_runs_an_existing_command(self) -> None:
        manage.manager.set_defaults()
        for file in UNITS.glob("*.service"):
            program, script, command = value_of(file.read_text(), "ExecStart").split()[:3]
            self.assertEqual((program, script), (PYTHON, "manage.py"))
            self.assertIn(command, manage.manager._commands)

    def test_all_services_use_the_same_installation(self) -> None:
        for name in (
            "User",
            "WorkingDirectory",
            "EnvironmentFile",
            "Environment",
            "StateDirectory",
        ):
            values = {value_of(file.read_text(), name) for file in UNITS.glob("*.service")}
            self.assertEqual(len(values), 1, name)

    def test_the_migration_is_a_separate_service_without_a_time_limit(self) -> None:
        migration = unit("users-migration.service")
        self.assertEqual(value_of(migration, "ExecStart"), f"{PYTHON} manage.py db upgrade")
        self.assertEqual(value_of(migration, "TimeoutStartSec"), "infinity")
        self.assertNotIn("ExecStartPre", unit("users.service"))

    def test_the_stop_timeout_covers_the_shutdown(self) -> None:
        service = unit("users.service")
        longest = int(str(DEFAULTS["DRAIN_SECONDS"])) + SHUTDOWN_GRACE
        self.assertGreater(int(value_of(service, "TimeoutStopSec")), longest)
        self.assertEqual(value_of(service, "KillMode"), "mixed")

    def test_the_service_can_write_to_its_instance_folder(self) -> None:
        service = unit("users.service")
        self.assertEqual(value_of(service, "ProtectSystem"), "strict")
        folder = f"/var/lib/{value_of(service, 'StateDirectory')}"
        self.assertEqual(value_of(service, "Environment"), f"INSTANCE_PATH={folder}")
        self.assertIn("INSTANCE_PATH", DEFAULTS)

    def test_the_timer_starts_the_service_of_the_same_name_and_can_be_enabled(self) -> None:
        timer = unit("users-purge.timer")
        self.assertNotIn("Unit=", timer)
        self.assertIn("\n[Install]\nWantedBy=timers.target\n", timer)
        self.assertNotIn("[Install]", unit("users-purge.service"))

    def test_systemd_accepts_the_units(self) -> None:
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd is not installed")
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for file in UNITS.iterdir():
            # The program in ExecStart must exist.
            (folder / file.name).write_text(file.read_text().replace(PYTHON, sys.executable))
        names = ("users.service", "users-migration.service", "users-purge.timer")
        done = subprocess.run(
            ["systemd-analyze", "verify", *(folder / name for name in names)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
