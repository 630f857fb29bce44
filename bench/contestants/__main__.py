"""Build the environments of the contestants, and try every contestant out.

    python -m bench.contestants [--only users,tutorial] [--workers 1]

Each contestant is started with its own database and has to register, log in, return a status,
refresh, log out and, if it can revoke tokens, reject a status afterwards. The output is the
versions of its packages and `ok` or the failure. The exit code is 1 if one failed.
"""

import argparse
import sys

from bench.contestants import CONTESTANTS, environments, walk
from project.tests.support import postgres


def main() -> None:
    """Build the environments, try out the contestants and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(CONTESTANTS))
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    contestants = [CONTESTANTS[name] for name in chosen.only.split(",")]
    for name in sorted({one.environment for one in contestants} - {""}):
        print(f"environment {name} …", flush=True)
        environments.build(name)
    failed = False
    with postgres.running() as server:
        for one in contestants:
            result = walk.try_out(one, server, chosen.workers)
            failed |= result != "ok"
            shown = ", ".join(f"{name} {version}" for name, version in one.packages().items())
            print(f"{one.name} | {one.server} | {shown} | {result}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    try:
        main()
    except environments.CannotBuild as error:
        sys.exit(str(error))
