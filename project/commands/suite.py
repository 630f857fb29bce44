"""Commands that run the test suite."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from project.commands.console import CommandFailed

ROOT = Path(__file__).parent.parent.parent


def test() -> None:
    """Run the test suite on SQLite and on PostgreSQL."""
    _run_suite()


def cov() -> None:
    """Run the test suite with branch coverage; print a report and write htmlcov/."""
    _run_suite("--coverage")


def _run_suite(*options: str) -> NoReturn:
    """Replace this process with the test runner.

    The runner then receives signals directly, and starts coverage before it imports `project`.
    """
    if not (ROOT / "project" / "tests").is_dir():
        raise CommandFailed("the test suite is missing; container images do not include it.")
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "project.tests.run", *options])
