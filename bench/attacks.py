"""Attacks the service, and says what honest clients feel of it and how much memory it takes.

    python -m bench.attacks [scenario …] [--server granian] [--seconds 10] [--database postgresql]

Needs no contestant and nothing installed. Without a scenario all of them run, one after the other,
on each server. The exit code is 1 where one of them misses its bar.
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
"""MiB of all processes of the server together, as the deployment's examples limit it."""
MAX_LATENCY = 1.0
"""Seconds in which every honest request is to be answered."""
MAX_SLOWDOWN = 3.0
"""How much longer than without the attack half of the honest requests may take."""
SAMPLING = 0.25
RAMP = 3.0
"""Seconds that an attack has to build up before honest requests are measured."""
QUIET = 3.0


@dataclass(frozen=True)
class Scenario:
    """An attack, and what it is held to."""

    attack: Attack
    by_median: bool = False
    """Whether the median is held to its quiet value; else every request to a second."""


LATE_BODIES = "late-bodies"
"""No attack: the honest requests are those that are rejected."""
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
    """Samples the memory of a server's processes in a thread of its own."""

    def __init__(self, root: psutil.Process) -> None:
        self.root = root
        self.rss = self.pss = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Sample for as long as the block lasts."""
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(SAMPLING):
            held = [one.memory_full_info() for one in tree(self.root)]
            self.rss = max(self.rss, sum(one.rss for one in held) / MEBIBYTE)
            self.pss = max(self.pss, sum(one.pss for one in held) / MEBIBYTE)


@contextmanager
def attacked(attack: Attack, port: int) -> Iterator[None]:
    """Attack from a process of its own for as long as the block lasts."""
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
    """Start a server, run a scenario on it and print a line; tell whether it reaches its bar."""
    database = databases.new_database()
    with databases.new_app(database).app_context():
        token = add_token(add_user().id)
    with servers.process(kind, servers.environment(database)) as (server, url, _):
        port = urlsplit(url).port or 80
        if name == LATE_BODIES:
            return _report_fates(kind, port)
        quiet = asyncio.run(open_loop.measure(port, token, QUIET))
        memory, scenario = MemoryPeak(psutil.Process(server.pid)), SCENARIOS[name]
        with attacked(scenario.attack, port), memory.watched():
            time.sleep(RAMP)
            found = asyncio.run(open_loop.measure(port, token, seconds))
    return _report(name, kind, scenario, (quiet, found), memory)


def _report(
    name: str, kind: str, scenario: Scenario, both: tuple[Latencies, Latencies], memory: MemoryPeak
) -> bool:
    quiet, found = both
    slowdown = found.percentile(50) / quiet.percentile(50)
    fast = slowdown <= MAX_SLOWDOWN if scenario.by_median else max(found.seconds) <= MAX_LATENCY
    passed = fast and not found.failed and memory.pss <= MAX_MEMORY
    _line(
        name, kind, passed,
        p50_ms=1000 * found.percentile(50), p95_ms=1000 * found.percentile(95),
        max_ms=1000 * max(found.seconds), quiet_p50_ms=1000 * quiet.percentile(50),
        rss_mib=memory.rss, pss_mib=memory.pss, failed=dict(found.failed),
    )  # fmt: skip
    return passed


def _report_fates(kind: str, port: int) -> bool:
    fates = asyncio.run(late_bodies.measure(port))
    passed = not fates.lost_responses and not fates.lost_connections
    _line(
        LATE_BODIES, kind, passed, statuses=dict(fates.statuses),
        lost_responses=fates.lost_responses, lost_connections=fates.lost_connections,
    )  # fmt: skip
    return passed


def _line(name: str, kind: str, passed: bool, **figures: Any) -> None:
    shown = (
        f"{figure} {value:.1f}" if isinstance(value, float) else f"{figure} {value}"
        for figure, value in figures.items()
    )
    print(f"{'pass' if passed else 'FAIL'}  {name}, {kind}: {', '.join(shown)}", flush=True)


def main() -> int:
    """Run the scenarios that were chosen; return the exit code."""
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
    """Have the databases of the block be of this kind."""
    with postgres.running() if kind == "postgresql" else nullcontext() as server:
        if server:
            os.environ[databases.SERVER_VARIABLE] = server.url
        yield


if __name__ == "__main__":
    sys.exit(main())
