"""wrk, a load generator that costs next to nothing, sending requests of ours by turns."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.contestants import Call
from bench.load import Failed, Load, raw

SCRIPT = Path(__file__).with_name("wrk.lua")
MISSING = (
    "wrk is not here, and the benchmark sends its load by it: install it from your system's "
    "packages (Debian, Ubuntu: apt-get install wrk), or build it from github.com/wg/wrk"
)


def check() -> None:
    """Raise RuntimeError, with the remedy, where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise RuntimeError(MISSING)


def run(port: int, calls: Sequence[Call], seconds: float, connections: int) -> Load:
    """Send these calls by turns for so long; return what came. Raises Failed."""
    check()
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(_framed(port, call) for call in calls))
        file.flush()
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        url = f"http://127.0.0.1:{port}"
        done = subprocess.run(
            ["wrk", *options, "-s", str(SCRIPT), url, "--", file.name],
            capture_output=True,
            text=True,
            check=True,
        )
    return parse(done.stdout)


def parse(output: str) -> Load:
    """Return what wrk and the script say of a run.

    Raises Failed where any answer was not a success, or a connection broke: a server that refuses
    quickly is not fast.
    """
    told = re.search(r"^\{.*\}$", output, re.MULTILINE)
    if told is None:
        raise Failed(f"wrk told no figures: {output.strip()[-300:]}")
    figures: dict[str, int] = json.loads(told[0])
    if figures["status"] or figures["broken"] or not figures["requests"]:
        raise Failed(
            f"of {figures['requests']} requests {figures['status']} were refused, "
            f"and {figures['broken']} broke"
        )
    return Load(
        requests=figures["requests"],
        seconds=figures["microseconds"] / 1e6,
        p50_ms=figures["p50"] / 1e3,
        p99_ms=figures["p99"] / 1e3,
    )


def _framed(port: int, call: Call) -> bytes:
    request = raw(port, call)
    return f"{len(request)}\n".encode() + request
