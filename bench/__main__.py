"""Measure the service and its alternatives, and print whether the targets are reached.

    python -m bench [all|status|login|storm|growth|memory|start|page] [--rounds 3] [--seconds 4]
                    [--only users,tutorial] [--quick]

It needs wrk, two cores and the environments of the contestants, which `python -m bench.contestants`
builds. `page` only rewrites the page from the stored results. Results are stored in
`docs/benchmarks/results.json`; the results of other parts stay.
"""

import argparse
import sys
import time
from collections.abc import Callable

from bench import (
    bars,
    database,
    footprint,
    growth,
    machine,
    operations,
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
    "login": (
        operations.run,
        (operations.LOGIN, operations.FULL_LOGIN, "register", "refresh", "logout"),
    ),
    "storm": (storm.run, (storm.SECTION,)),
    "growth": (growth.run, (growth.SECTION,)),
    "memory": (footprint.memory, ("memory",)),
    "start": (footprint.start, ("start",)),
}
"""The function and the sections of each part."""
PAGE = "page"
"""Not a part: it rewrites the page from the stored results."""
QUICK = Plan(
    rounds=1, seconds=1.0, tries=1, accounts=64, logins=8, storm_seconds=3.0, crowds=(1_000, 10_000)
)


def main() -> None:
    """Measure the chosen parts, store the results, write the page and print the targets."""
    chosen = arguments()
    known = results.load()
    if chosen.part != PAGE:
        measure(chosen, known)
    if not chosen.quick:
        results.save(known)
        page.write(known)
    print("\n".join(bars.report(known)))


def measure(chosen: argparse.Namespace, known: Results) -> None:
    """Measure the chosen parts, and store the results after each part."""
    wrk.check()
    known.machine = machine.describe()
    contestants = [CONTESTANTS[name] for name in chosen.only.split(",")]
    known.packages.update({one.name: one.packages() for one in contestants})
    with database.running() as server:
        bench = Bench(server, contestants, plan(chosen), known)
        for name in PARTS if chosen.part == "all" else [chosen.part]:
            began = time.monotonic()
            run, sections = PARTS[name]
            known.discard(sections)
            run(bench)
            if not chosen.quick:
                results.save(known)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="all", choices=["all", *PARTS, PAGE])
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--only", default=",".join(CONTESTANTS))
    parser.add_argument("--quick", action="store_true", help="one short round; stores nothing")
    return parser.parse_args()


def plan(chosen: argparse.Namespace) -> Plan:
    """Return the number and length of the measurements."""
    if chosen.quick:
        return QUICK
    return Plan(rounds=chosen.rounds, seconds=chosen.seconds)


if __name__ == "__main__":
    try:
        main()
    except (Failed, RuntimeError) as error:
        sys.exit(f"bench: {error}")
