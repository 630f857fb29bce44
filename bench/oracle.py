"""Measure whether the time of a failed login reveals which e-mail addresses have an account.

    python -m bench.oracle [--samples 200]

It logs in with a wrong password at cost 12, alternating between an existing and a missing account,
and prints the ratio of the two median times.
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
    """Return the time of a failed login in seconds."""
    call = service.contestant.login(Account("", email, f"not {PASSWORD}"))
    answer = reply(service.port, call)
    if answer.status != 404:
        raise RuntimeError(f"login returned {answer.status}")
    return answer.seconds


if __name__ == "__main__":
    main()
