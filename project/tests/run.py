"""Run the suite on every database and add up the results: `python -m project.tests.run`.

A database on which no test ran counts as a failure. The last line is always
`N passed, N failed, N skipped`, counted in test functions, unless a signal ends the run. The run
always stops the processes and deletes the files of its tests: every process that a test starts is a
descendant of this one, and every file is in one temporary folder.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

from project.tests.support import processes

DATABASES = ("sqlite", "postgresql")
WORKERS = "3"
"""One more than the cores of a small machine: tests of servers wait for half of their time."""
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHUTDOWN_GRACE = 10.0
"""Seconds that pytest has to clean up after a signal."""


@dataclass
class Result:
    """The number of test functions that passed, failed and were skipped, and of their subtests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    subtests: int = 0

    def __add__(self, other: "Result") -> "Result":
        return Result(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.subtests + other.subtests,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Interrupted(Exception):
    """A signal has ended the run."""


def main() -> int:
    """Run the suite, clean up and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coverage", action="store_true", help="measure branch coverage")
    parser.add_argument(
        "tests", nargs="*", help="files, folders or tests to run (default: the whole suite)"
    )
    arguments = parser.parse_args()
    processes.adopt_orphans()
    for number in END_SIGNALS:
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="users-suite-", ignore_cleanup_errors=True) as folder:
        # PostgreSQL may run as another user, which needs access to the folder.
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
    for other in END_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def run(coverage: bool, tests: Sequence[str]) -> int:
    """Run the tests on every database, print the results and return the exit code."""
    if find_spec("pytest") is None or find_spec("xdist") is None:
        sys.exit("error: the suite needs more packages: pip install -r requirements-dev.txt")
    results = {database: _run(database, coverage, tests) for database in DATABASES}
    code = _report_coverage() if coverage else 0
    print()
    for database, result in results.items():
        print(f"{database}: {result}")
    total = sum(results.values(), Result())
    print(f"{total.subtests} subtests in these tests")
    print(total)
    return 1 if total.failed else code


def _run(database: str, coverage: bool, tests: Sequence[str]) -> Result:
    with tempfile.TemporaryDirectory(prefix="users-results-") as folder:
        return _run_into(Path(folder) / "report.xml", database, coverage, tests)


def _run_into(report: Path, database: str, coverage: bool, tests: Sequence[str]) -> Result:
    program = ["coverage", "run", "-m", "pytest"] if coverage else ["pytest"]
    command = [sys.executable, "-m", *program, f"--database={database}"]
    # Distribute single tests: a class of slow tests would keep one process busy to the end.
    command += ["-q", "-rs", "-n", WORKERS, "--dist", "worksteal", f"--junit-xml={report}"]
    command += tests
    print(f"\n=== The suite on {database} ===", flush=True)
    return read(report, _wait(subprocess.Popen(command)))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for pytest to end, and after a signal for it to clean up.

    subprocess.run() would kill it a quarter of a second after Ctrl-C.
    """
    try:
        return process.wait()
    except Interrupted:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SHUTDOWN_GRACE)
        raise


def read(report: Path, code: int) -> Result:
    """Return the results in a JUnit report; a run that stopped early or ran no test has failed."""
    if not report.exists():
        return Result(failed=1)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    outcomes = Counter(_outcome(case) for case in suite)
    # pytest counts a subtest as a test, and writes it into the element of its test function.
    subtests = int(suite.get("tests", "0")) - outcomes.total()
    result = Result(outcomes["passed"], outcomes["failed"], outcomes["skipped"], subtests)
    if (code and not result.failed) or not result.passed:
        result.failed += 1
    return result


def _outcome(case: ElementTree.Element) -> str:
    marks = {child.tag for child in case}
    if marks & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in marks else "passed"


def _report_coverage() -> int:
    subprocess.run([sys.executable, "-m", "coverage", "combine", "-q"], check=True)
    subprocess.run([sys.executable, "-m", "coverage", "html", "-q"], check=False)
    print("\nCoverage Summary:", flush=True)
    return subprocess.run([sys.executable, "-m", "coverage", "report"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
