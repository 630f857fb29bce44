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
    """Run the test suite with branch coverage; print the table and write htmlcov/."""
    _run_suite("--coverage")


def _run_suite(*options: str) -> NoReturn:
    """Become the runner: a signal reaches it directly, and coverage begins before `project`."""
    if not (ROOT / "project" / "tests").is_dir():
        raise CommandFailed("the tests are not here; a container's image comes without them.")
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "project.tests.run", *options])
