"""A description of the machine, as far as results depend on it."""

import os
import platform
import re
import subprocess
from pathlib import Path

import psutil

from project.tests.support.postgres import INSTALLATION

CPUINFO = Path("/proc/cpuinfo")


def describe() -> dict[str, str]:
    """Return the hardware, and the versions of the software that all contestants use."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "PostgreSQL": _version_of(
            str(INSTALLATION / "pginstall" / "bin" / "postgres"), "--version"
        ),
        "wrk": _version_of("wrk", "--version"),
    }


def _processor() -> str:
    named = re.search(r"^model name\s*:\s*(.+)$", CPUINFO.read_text(), re.MULTILINE)
    return named[1] if named else platform.machine()


def _version_of(*command: str) -> str:
    """Return the version in the first line of a program's output. wrk exits with an error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = (done.stdout or done.stderr).splitlines()[0]
    found = re.search(r"\d+(\.\d+)+", line)
    return found[0] if found else line
