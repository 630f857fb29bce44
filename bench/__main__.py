"""Measures the service beside others, and says what came of it.

    python -m bench [all|status|login|storm|growth|memory|start|page] [--rounds 3] [--seconds 4]
                    [--only users,tutorial] [--quick]

Needs wrk, two cores and the environments of the contestants (`python -m bench.contestants` makes
them); `page` measures nothing and writes the page anew. Figures are kept in
`docs/benchmarks/results.json`, beside those of parts that are not run.
"""

import argparse
import sys
import time
from collections.abc import Callable

from bench import (
    bars,
    database,
    deeds,
    footprint,
    growth,
    machine,
    page,
    results,
    status,
    storm,
    wrk,
)
from bench.bench import Bench
from bench.contestants import CONTESTANTS
from bench.load import Failed
from bench.measuring import Plan
from bench.results import Results

PARTS: dict[str, tuple[Callable[[Bench], None], tuple[str, ...]]] = {
    "status": (status.run, (status.ONE_CORE, status.TWO_WORKERS)),
    "login": (deeds.run, (deeds.LOGIN, deeds.FULL_LOGIN, "register", "refresh", "logout")),
    "storm": (storm.run, (storm.SECTION,)),
    "growth": (growth.run, (growth.SECTION,)),
    "memory": (footprint.memory, ("memory",)),
    "start": (footprint.start, ("start",)),
}
"""What runs each part, and the sections that it measures."""
PAGE = "page"
"""No part: the page is written anew from what is kept."""
QUICK = Plan(
    rounds=1, seconds=1.0, tries=1, accounts=64, logins=8, storm_seconds=3.0, crowds=(1_000, 10_000)
)


def main() -> None:
    """Measure what was chosen, keep it, write the page and print the bars."""
    chosen = arguments()
    known = results.load()
    if chosen.part != PAGE:
        measure(chosen, known)
    if not chosen.quick:
        results.save(known)
        page.write(known)
    print("\n".join(bars.told(known)))


def measure(chosen: argparse.Namespace, known: Results) -> None:
    """Measure the chosen parts; what is measured is kept at the end of each."""
    wrk.check()
    known.machine = machine.told()
    contestants = [CONTESTANTS[name] for name in chosen.only.split(",")]
    known.packages.update({one.name: one.packages() for one in contestants})
    with database.running() as server:
        bench = Bench(server, contestants, plan(chosen), known)
        for name in PARTS if chosen.part == "all" else [chosen.part]:
            began = time.monotonic()
            run, sections = PARTS[name]
            known.forget(sections)
            run(bench)
            if not chosen.quick:
                results.save(known)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def arguments() -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="all", choices=["all", *PARTS, PAGE])
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--only", default=",".join(CONTESTANTS))
    parser.add_argument("--quick", action="store_true", help="one short round; nothing is kept")
    return parser.parse_args()


def plan(chosen: argparse.Namespace) -> Plan:
    """Return how often and how long everything is measured."""
    if chosen.quick:
        return QUICK
    return Plan(rounds=chosen.rounds, seconds=chosen.seconds)


if __name__ == "__main__":
    try:
        main()
    except (Failed, RuntimeError) as error:
        sys.exit(f"bench: {error}")
