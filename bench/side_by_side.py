"""What a request costs in one checkout and in another, in alternating rounds.

    python -m bench.side_by_side <folder of a checkout> [<folder of another>] [--path /auth/status]

The second is this one where it is not given. The figure is processor time of the whole process
tree per request: it depends less than requests a second on what else the machine does. Needs wrk.
"""

import argparse
import json
import re
import statistics
import subprocess
from contextlib import ExitStack
from pathlib import Path

from bench.service import ROOT, Served, served

CONNECTIONS = "4"
SECONDS = "4"
ROUNDS = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("other", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--path", default="/auth/status")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    with ExitStack() as stack:
        services = [
            stack.enter_context(served(root.resolve(), cores="0"))
            for root in (chosen.base, chosen.other)
        ]
        tokens = [service.register() for service in services]
        rounds = [
            [
                cost(service, chosen.path, token)
                for service, token in zip(services, tokens, strict=True)
            ]
            for _ in range(chosen.rounds)
        ]
    ratios = [other / base for base, other in rounds]
    report = {
        "path": chosen.path,
        "base_us": round(statistics.median(base for base, _ in rounds)),
        "other_us": round(statistics.median(other for _, other in rounds)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in sorted(ratios)],
    }
    print(json.dumps(report, indent=2))


def cost(service: Served, path: str, token: str) -> float:
    """Return the microseconds of processor time that a request costs."""
    url = f"http://127.0.0.1:{service.port}{path}"
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", f"Authorization: Bearer {token}"]
    before = service.cpu_seconds()
    done = subprocess.run(
        ["taskset", "-c", "1", "wrk", *options, url], capture_output=True, text=True, check=True
    )
    used = service.cpu_seconds() - before
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    counted = re.search(r"(\d+) requests in", done.stdout)
    assert counted is not None
    return used / int(counted[1]) * 1e6


if __name__ == "__main__":
    main()
