"""Compare the cost of a request in two checkouts, in alternating rounds.

    python -m bench.side_by_side <folder of a checkout> [<folder of another>] [--path /auth/status]
                                 [--login]

The second checkout defaults to this one. The cost is the processor time of all processes of the
server per request. It depends less on the load of the machine than the rate of requests does. The
comparison needs wrk.
"""

import argparse
import json
import statistics
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from bench import cores, database, wrk
from bench.contestants import Call
from bench.contestants.contestant import ROOT
from bench.contestants.ours import Users
from bench.load import Load
from bench.measuring import Plan, measure
from bench.served import Served, accounts, prepare, served

ROUNDS = 7
COST = 4
CONNECTIONS = 4
UNTHROTTLED = {"THROTTLE_LOGINS": "1000000/1d"}


class Checkout(Users):
    """The service in a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root.resolve()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("other", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--path", default="/auth/status")
    parser.add_argument("--login", action="store_true", help="measure a login instead of --path")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    on = cores.apart()
    with database.running() as databases, cores.pinned(on.load), ExitStack() as stack:
        databases.pin(on.load)
        services = []
        for root in (chosen.base, chosen.other):
            checkout, url = Checkout(root), databases.new()
            prepare(checkout, url, COST, UNTHROTTLED)
            services.append(stack.enter_context(served(checkout, url, on.server)))
        calls = [
            log_in(service) if chosen.login else make_call(service, chosen.path)
            for service in services
        ]
        rounds = [
            [
                measure_cost(service, call, databases.process)
                for service, call in zip(services, calls, strict=True)
            ]
            for _ in range(chosen.rounds)
        ]
    ratios = [other / base for base, other in rounds]
    report = {
        "path": calls[0].path,
        "base_us": round(statistics.median(base for base, _ in rounds)),
        "other_us": round(statistics.median(other for _, other in rounds)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in sorted(ratios)],
    }
    print(json.dumps(report, indent=2))


def make_call(service: Served, path: str) -> Call:
    """Return a request of an authenticated user."""
    service.register(accounts(1))
    (tokens,) = service.log_in(accounts(1))
    return replace(service.contestant.status(tokens), path=path)


def log_in(service: Served) -> Call:
    """Return the login of a user, with a hash of the lowest cost."""
    service.register(accounts(1))
    (account,) = accounts(1)
    return service.contestant.login(account)


def measure_cost(service: Served, call: Call, postgres: psutil.Process) -> float:
    """Return the processor time per request in microseconds."""

    def work() -> Load:
        return wrk.run(service.port, [call], Plan.seconds, CONNECTIONS)

    return measure(service.process, postgres, work).server_us


if __name__ == "__main__":
    main()
