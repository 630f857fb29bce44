"""Whether time tells which addresses have an account.

    python -m bench.oracle [--samples 200]

Logs in at cost 12 with a wrong password, by turns to an account that exists and to one that does
not, and prints the ratio of the two medians.
"""

import argparse
import json
import statistics

from bench import cores, database
from bench.contestants import CONTESTANTS, Account
from bench.served import PASSWORD, Served, accounts, prepare, reply, served

COST = 12
SETTINGS = {"THROTTLE_ENABLED": "false"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    samples = parser.parse_args().samples
    known, unknown = [], []
    on, ours, (somebody,) = cores.together().server, CONTESTANTS["users"], accounts(1)
    with database.running() as databases:
        url = databases.new()
        prepare(ours, url, COST, SETTINGS)
        with served(ours, url, on) as service:
            service.register([somebody])
            for _ in range(samples):
                known.append(wait(service, somebody.email))
                unknown.append(wait(service, "nobody@example.com"))
    ratio = statistics.median(unknown) / statistics.median(known)
    print(
        json.dumps(
            {
                "samples": samples,
                "known_ms": round(statistics.median(known) * 1e3, 1),
                "unknown_ms": round(statistics.median(unknown) * 1e3, 1),
                "ratio": round(ratio, 4),
            },
            indent=2,
        )
    )


def wait(service: Served, email: str) -> float:
    """Return how long a login in vain took, in seconds."""
    call = service.contestant.login(Account("", email, f"not {PASSWORD}"))
    answer = reply(service.port, call)
    if answer.status != 404:
        raise RuntimeError(f"login answered {answer.status}")
    return answer.seconds


if __name__ == "__main__":
    main()
