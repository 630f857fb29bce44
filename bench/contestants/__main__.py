"""Builds the environments, and has every contestant show that it works.

    python -m bench.contestants [--only users,tutorial] [--workers 1]

Each is started in its turn on a database of its own: register, log in, status, refresh, log out,
and a status that is refused where logging out is real. Prints what each is and `ok`, or what
failed; the exit code is 1 where one did.
"""

import argparse
import sys

from bench.contestants import CONTESTANTS, environments, walk
from project.tests.support import postgres


def main() -> None:
    """Build, walk and print."""
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
            result = walk.tried(one, server, chosen.workers)
            failed |= result != "ok"
            shown = ", ".join(f"{name} {version}" for name, version in one.packages().items())
            print(f"{one.name} | {one.server} | {shown} | {result}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    try:
        main()
    except environments.CannotBuild as error:
        sys.exit(str(error))
