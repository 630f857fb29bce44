"""Commands that run the test suite."""

import subprocess
import sys
from pathlib import Path

from project.commands.console import CommandFailed

ROOT = Path(__file__).parent.parent.parent


def test() -> int:
    """Run the test suite on SQLite and on PostgreSQL."""
    return _run_suite()


def cov() -> int:
    """Run the test suite with branch coverage; print the table and write htmlcov/."""
    return _run_suite("--coverage")


def _run_suite(*options: str) -> int:
    if not (ROOT / "project" / "tests").is_dir():
        raise CommandFailed("the tests are not here; a container's image comes without them.")
    # A process of its own: coverage must begin before `project` is imported.
    command = [sys.executable, "-m", "project.tests.run", *options]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
