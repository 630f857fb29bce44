"""Whether time tells which addresses have an account.

    python -m bench.oracle [--samples 200]

Logs in at cost 12 with a wrong password, by turns to an account that exists and to one that does
not, and prints the ratio of the two medians.
"""

import argparse
import json
import statistics
import time

from bench.service import EMAIL, Served, served


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    samples = parser.parse_args().samples
    known, unknown = [], []
    with served(THROTTLE_ENABLED="false") as service:
        service.register()
        for _ in range(samples):
            known.append(wait(service, EMAIL))
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
    began = time.perf_counter()
    status = service.call("POST", "/auth/login", {"email": email, "password": "wrong"}).status
    if status != 404:
        raise RuntimeError(f"login answered {status}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
