"""Runs the suite on every database and adds the results up: `python -m project.tests.run`.

A database whose tests did not run is a failure. The last line is always
`N passed, N failed, N skipped`, unless a signal ends the run. However it ends, it leaves no process
and no file behind: what the tests start descends from this process, and what they write is in one
folder.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

from project.tests.support import processes

DATABASES = ("sqlite", "postgresql")
PROCESSES = "2"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHUTDOWN_GRACE = 10.0
"""How long pytest may take to clean up when a signal ends the run."""


@dataclass
class Result:
    """How many tests ended in which way."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Result") -> "Result":
        return Result(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Interrupted(Exception):
    """A signal ends the run."""


def main() -> int:
    """Run, clean up and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coverage", action="store_true", help="measure branch coverage")
    parser.add_argument("tests", nargs="*", help="what to run instead of the whole suite")
    arguments = parser.parse_args()
    processes.adopt_orphans()
    for number in ENDING:
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="users-suite-", ignore_cleanup_errors=True) as folder:
        # PostgreSQL runs as another user, who must get to its part of the folder.
        Path(folder).chmod(0o755)
        os.environ["TMPDIR"] = folder
        try:
            return run(arguments.coverage, arguments.tests)
        except Interrupted as ended:
            print(f"\ninterrupted by {ended}; cleaning up", file=sys.stderr)
            return 128 + signal.Signals[str(ended)]
        finally:
            processes.end_descendants()


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def run(coverage: bool, tests: Sequence[str]) -> int:
    """Run on every database, report and return the exit code."""
    if find_spec("pytest") is None or find_spec("xdist") is None:
        sys.exit("error: the suite needs more packages: pip install -r requirements-dev.txt")
    results = {database: _run(database, coverage, tests) for database in DATABASES}
    code = _report_coverage() if coverage else 0
    print()
    for database, result in results.items():
        print(f"{database}: {result}")
    total = sum(results.values(), Result())
    print(total)
    return 1 if total.failed else code


def _run(database: str, coverage: bool, tests: Sequence[str]) -> Result:
    with tempfile.TemporaryDirectory(prefix="users-results-") as folder:
        return _run_into(Path(folder) / "report.xml", database, coverage, tests)


def _run_into(report: Path, database: str, coverage: bool, tests: Sequence[str]) -> Result:
    program = ["coverage", "run", "-m", "pytest"] if coverage else ["pytest"]
    command = [sys.executable, "-m", *program, f"--database={database}"]
    # A test is one unit of work: a class whose tests are slow would else hold one process up.
    command += ["-q", "-rs", "-n", PROCESSES, "--dist", "worksteal", f"--junit-xml={report}"]
    command += tests
    print(f"\n=== The suite on {database} ===", flush=True)
    return read(report, _wait(subprocess.Popen(command, env=_environment())))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for pytest; when a signal ends the run let it clean up first.

    subprocess.run() would kill it a quarter of a second after Ctrl-C.
    """
    try:
        return process.wait()
    except Interrupted:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SHUTDOWN_GRACE)
        raise


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}


def read(report: Path, code: int) -> Result:
    """Return what the report holds; a run that broke off, or ran nothing, has failed."""
    if not report.exists():
        return Result(failed=1)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    number = {
        name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
    }
    failed = number["failures"] + number["errors"]
    result = Result(number["tests"] - failed - number["skipped"], failed, number["skipped"])
    if (code and not failed) or not result.passed:
        result.failed += 1
    return result


def _report_coverage() -> int:
    subprocess.run([sys.executable, "-m", "coverage", "combine", "-q"], check=True)
    subprocess.run([sys.executable, "-m", "coverage", "html", "-q"], check=False)
    print("\nCoverage Summary:", flush=True)
    return subprocess.run([sys.executable, "-m", "coverage", "report"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
