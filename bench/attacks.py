"""Attack the service, and measure the latency of honest clients and the memory of the server.

    python -m bench.attacks [scenario …] [--server granian] [--seconds 10] [--database postgresql]

It needs neither contestants nor wrk. Without a scenario it runs all of them, one after the other,
on each server. The exit code is 1 if one of them misses its target.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench import attackers, late_bodies, open_loop
from bench.attackers import Attack
from bench.open_loop import Latencies
from bench.processes import tree
from project.tests.support import databases, postgres, servers
from project.tests.utils import add_token, add_user

SERVERS = ("granian", "gunicorn")
MEBIBYTE = 2**20
MAX_MEMORY = 512.0
"""MiB of all processes of the server together: the limit in the examples of the deployment."""
MAX_LATENCY = 1.0
"""Maximum latency of an honest request in seconds."""
MAX_SLOWDOWN = 3.0
"""Maximum ratio of the median latency to that without the attack."""
SAMPLE_INTERVAL = 0.25
RAMP_SECONDS = 3.0
"""Seconds between the start of the attack and that of the measurement."""
QUIET_SECONDS = 3.0
"""Seconds of the measurement before the attack."""


@dataclass(frozen=True)
class Scenario:
    """An attack and its target."""

    attack: Attack
    by_median: bool = False
    """Whether the target is MAX_SLOWDOWN; otherwise it is MAX_LATENCY."""


LATE_BODIES = "late-bodies"
"""Not an attack: requests of honest clients that the service rejects."""
SCENARIOS = {
    "marks-login": Scenario(attackers.crowd(40, attackers.marks("/auth/login")), by_median=True),
    "marks-register": Scenario(
        attackers.crowd(40, attackers.marks("/auth/register")), by_median=True
    ),
    "rejected-bodies": Scenario(attackers.crowd(900, attackers.send_most_of_a_body)),
    "slow-readers": Scenario(attackers.crowd(1000, attackers.read_nothing, attackers.SMALL_BUFFER)),
    "huge-fields": Scenario(attackers.crowd(200, attackers.send_huge_fields)),
    "close-without-closing": Scenario(attackers.close_without_closing(50)),
}


class MemoryPeak:
    """Samples the memory of a server's processes in a separate thread."""

    def __init__(self, root: psutil.Process) -> None:
        self.root = root
        self.rss = self.pss = 0.0

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Sample during the block."""
        ended = threading.Event()
        thread = threading.Thread(target=self._sample, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _sample(self, ended: threading.Event) -> None:
        while not ended.wait(SAMPLE_INTERVAL):
            memory = [one.memory_full_info() for one in tree(self.root)]
            self.rss = max(self.rss, sum(one.rss for one in memory) / MEBIBYTE)
            self.pss = max(self.pss, sum(one.pss for one in memory) / MEBIBYTE)


@contextmanager
def attacking(attack: Attack, port: int) -> Iterator[None]:
    """Attack from a separate process during the block."""
    process = multiprocessing.get_context("fork").Process(target=_attack, args=(attack, port))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _attack(attack: Attack, port: int) -> None:
    asyncio.run(attack(port))


def run(name: str, kind: str, seconds: float) -> bool:
    """Run a scenario on a new server and print the result; return whether it reaches its target."""
    database = databases.new_database()
    with databases.new_app(database).app_context():
        token = add_token(add_user().id)
    with servers.process(kind, servers.environment(database)) as (server, url, _):
        port = urlsplit(url).port or 80
        if name == LATE_BODIES:
            return _report_late_bodies(kind, port)
        quiet = asyncio.run(open_loop.measure(port, token, QUIET_SECONDS))
        memory, scenario = MemoryPeak(psutil.Process(server.pid)), SCENARIOS[name]
        with attacking(scenario.attack, port), memory.sampling():
            time.sleep(RAMP_SECONDS)
            attacked = asyncio.run(open_loop.measure(port, token, seconds))
    return _report(name, kind, scenario, (quiet, attacked), memory)


def _report(
    name: str, kind: str, scenario: Scenario, both: tuple[Latencies, Latencies], memory: MemoryPeak
) -> bool:
    quiet, attacked = both
    slowdown = attacked.percentile(50) / quiet.percentile(50)
    fast = slowdown <= MAX_SLOWDOWN if scenario.by_median else max(attacked.seconds) <= MAX_LATENCY
    passed = fast and not attacked.failed and memory.pss <= MAX_MEMORY
    _print_result(
        name, kind, passed,
        p50_ms=1000 * attacked.percentile(50), p95_ms=1000 * attacked.percentile(95),
        max_ms=1000 * max(attacked.seconds), quiet_p50_ms=1000 * quiet.percentile(50),
        rss_mib=memory.rss, pss_mib=memory.pss, failed=dict(attacked.failed),
    )  # fmt: skip
    return passed


def _report_late_bodies(kind: str, port: int) -> bool:
    outcomes = asyncio.run(late_bodies.measure(port))
    passed = not outcomes.lost_responses and not outcomes.lost_connections
    _print_result(
        LATE_BODIES, kind, passed, statuses=dict(outcomes.statuses),
        lost_responses=outcomes.lost_responses, lost_connections=outcomes.lost_connections,
    )  # fmt: skip
    return passed


def _print_result(name: str, kind: str, passed: bool, **figures: Any) -> None:
    texts = (
        f"{figure} {value:.1f}" if isinstance(value, float) else f"{figure} {value}"
        for figure, value in figures.items()
    )
    print(f"{'pass' if passed else 'FAIL'}  {name}, {kind}: {', '.join(texts)}", flush=True)


def main() -> int:
    """Run the chosen scenarios; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*SCENARIOS, LATE_BODIES]
    parser.add_argument("scenarios", nargs="*", choices=[[], *known], metavar="scenario")
    parser.add_argument("--server", choices=SERVERS)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    chosen = parser.parse_args()
    kinds = [chosen.server] if chosen.server else SERVERS
    with databases.cleanup, _database(chosen.database):
        passed = [
            run(name, kind, chosen.seconds) for name in chosen.scenarios or known for kind in kinds
        ]
    return 0 if all(passed) else 1


@contextmanager
def _database(kind: str) -> Iterator[None]:
    """Use databases of this kind during the block."""
    with postgres.running() if kind == "postgresql" else nullcontext() as server:
        if server:
            os.environ[databases.SERVER_VARIABLE] = server.url
        yield


if __name__ == "__main__":
    sys.exit(main())
