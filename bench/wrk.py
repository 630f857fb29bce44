"""wrk, a load generator with a very low cost, which sends given requests in turn."""

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
    "the benchmark needs wrk, which is not installed: install your system's package (Debian and "
    "Ubuntu: apt-get install wrk), or build it from github.com/wg/wrk"
)


def check() -> None:
    """Raise RuntimeError with the remedy if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise RuntimeError(MISSING)


def run(port: int, calls: Sequence[Call], seconds: float, connections: int) -> Load:
    """Send these requests in turn for this time; return the load. Raises Failed."""
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
    """Return the load that the output of wrk and its script describes.

    Raises Failed if a response was not successful or a connection broke: a server that quickly
    rejects requests is not fast.
    """
    report = re.search(r"^\{.*\}$", output, re.MULTILINE)
    if report is None:
        raise Failed(f"wrk reported no figures: {output.strip()[-300:]}")
    figures: dict[str, int] = json.loads(report[0])
    if figures["status"] or figures["broken"] or not figures["requests"]:
        raise Failed(
            f"of {figures['requests']} requests {figures['status']} were rejected, "
            f"and {figures['broken']} connections broke"
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
