"""Runs the suite on every database and adds the results up: `python -m project.tests.run`.

A database whose tests did not run is a failure. The last line is always
`N passed, N failed, N skipped`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

DATABASES = ("sqlite", "postgresql")
PROCESSES = "2"


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


def main() -> int:
    """Run, report and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coverage", action="store_true", help="measure branch coverage")
    coverage = parser.parse_args().coverage
    if find_spec("pytest") is None or find_spec("xdist") is None:
        sys.exit("error: the suite needs more packages: pip install -r requirements-dev.txt")
    results = {database: _run(database, coverage) for database in DATABASES}
    code = _report_coverage() if coverage else 0
    print()
    for database, result in results.items():
        print(f"{database}: {result}")
    total = sum(results.values(), Result())
    print(total)
    return 1 if total.failed else code


def _run(database: str, coverage: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="users-results-") as folder:
        return _run_into(Path(folder) / "report.xml", database, coverage)


def _run_into(report: Path, database: str, coverage: bool) -> Result:
    program = ["coverage", "run", "-m", "pytest"] if coverage else ["pytest"]
    command = [sys.executable, "-m", *program, f"--database={database}"]
    # A test is one unit of work: a class whose tests are slow would else hold one process up.
    command += ["-q", "-rs", "-n", PROCESSES, "--dist", "worksteal", f"--junit-xml={report}"]
    print(f"\n=== The suite on {database} ===", flush=True)
    code = subprocess.run(command, check=False, env=_environment()).returncode
    return read(report, code)


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
