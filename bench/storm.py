"""A storm of logins at cost 12, and what everybody else feels of it.

    python -m bench.storm [--clients 200] [--seconds 20]

The clients log in without pause, and try again after as many seconds as a 503 tells them. Beside
them `/ping` and `/auth/status` are asked ten times a second each, before and during the storm.
Printed: the waits in milliseconds; the logins a second, and their ratio to what raw bcrypt does on
the same cores in the same run, half of it before and half of it after.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import bcrypt

from bench.service import EMAIL, PASSWORD, served

COST = 12
PROBES_A_SECOND = 10
QUIET_SECONDS = 5.0
RAW_SECONDS = 5.0
WARMING_SECONDS = 2.0
BODY = json.dumps({"email": EMAIL, "password": PASSWORD})


@dataclass
class Waits:
    """How long each request of a kind took, in seconds, by its status, and when it was answered."""

    taken: list[tuple[int, float]] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)

    def of(self, status: int) -> list[float]:
        """Return the waits that ended in this status, in milliseconds and in order."""
        return sorted(seconds * 1e3 for got, seconds in self.taken if got == status)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    chosen = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    before = raw_rate(cores)
    with served(
        workers=cores,
        THROTTLE_ENABLED="false",
        MAX_SESSIONS_PER_USER="10000",  # else the storm ends the session that asks beside it
        BCRYPT_LOG_ROUNDS=str(COST),
    ) as service:
        token = service.register()
        idle = time.process_time()
        quiet, storm, logins, ended_at = asyncio.run(
            storm_of(service.port, token, chosen.clients, chosen.seconds)
        )
    # The clients run on the same cores, and what they take is not there for anybody to hash with.
    clients_share = (time.process_time() - idle) / cores / (chosen.seconds + QUIET_SECONDS)
    raw = (before + raw_rate(cores)) / 2
    # What waits in the queue at the end is answered, and does not count; nor does the beginning,
    # when nothing has been hashed yet.
    began_at = ended_at - chosen.seconds + WARMING_SECONDS
    in_time = [
        moment
        for (status, _), moment in zip(logins.taken, logins.answered_at, strict=True)
        if status == 200 and began_at <= moment <= ended_at
    ]
    rate = len(in_time) / (ended_at - began_at)
    report = {
        "clients": chosen.clients,
        "answers": Counter(status for status, _ in logins.taken),
        "refused_p50_ms": percentile(logins.of(503), 50),
        "refused_p99_ms": percentile(logins.of(503), 99),
        "quiet": {path: told(waits) for path, waits in quiet.items()},
        "storm": {path: told(waits) for path, waits in storm.items()},
        "logins_a_second": round(rate, 2),
        "raw_bcrypt_a_second": round(raw, 2),
        "ratio": round(rate / raw, 3),
        "clients_share_of_the_cores": round(clients_share, 3),
        "ratio_of_what_the_clients_left": round(rate / raw / (1 - clients_share), 3),
    }
    print(json.dumps(report, indent=2))


def raw_rate(threads: int) -> float:
    """Return how many passwords a second bcrypt itself checks in so many threads."""
    kept, deadline = bcrypt.hashpw(b"x", bcrypt.gensalt(COST)), time.monotonic() + RAW_SECONDS

    def check(_: int) -> int:
        done = 0
        while time.monotonic() < deadline:
            bcrypt.checkpw(b"x", kept)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        began = time.monotonic()
        total = sum(pool.map(check, range(threads)))
        return total / (time.monotonic() - began)


async def storm_of(
    port: int, token: str, clients: int, seconds: float
) -> tuple[dict[str, Waits], dict[str, Waits], Waits, float]:
    """Probe in the quiet and in the storm; return their waits, the logins', and when it ended."""
    quiet = await probes(port, token, QUIET_SECONDS)
    deadline, logins = time.monotonic() + seconds, Waits()
    crowd = [asyncio.create_task(client(port, logins, deadline)) for _ in range(clients)]
    storm = await probes(port, token, seconds)
    await asyncio.gather(*crowd)
    return quiet, storm, logins, deadline


async def client(port: int, logins: Waits, deadline: float) -> None:
    """Log in again and again; what is asked before the deadline is waited for."""
    while time.monotonic() < deadline:
        headers = f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
        status, head = await asked(port, "POST /auth/login", headers, BODY, logins)
        if status == 503:
            await asyncio.sleep(float(head.split("retry-after: ")[1].split("\r\n")[0]))


async def probes(port: int, token: str, seconds: float) -> dict[str, Waits]:
    """Ask for the state of things in even steps; return the waits."""
    waits = {path: Waits() for path in ("/ping", "/auth/status")}
    deadline, asking = time.monotonic() + seconds, []
    while time.monotonic() < deadline:
        for path, kept in waits.items():
            headers = f"Authorization: Bearer {token}\r\n"
            asking.append(asyncio.create_task(asked(port, f"GET {path}", headers, "", kept)))
        await asyncio.sleep(1 / PROBES_A_SECOND)
    await asyncio.gather(*asking)
    return waits


async def asked(port: int, what: str, headers: str, body: str, waits: Waits) -> tuple[int, str]:
    """Send a request on a connection of its own; return status and head, and note the wait."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{what} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{headers}\r\n{body}"
    writer.write(head.encode())
    answer = (await reader.read()).decode()
    waits.taken.append((int(answer[9:12]), time.monotonic() - began))
    waits.answered_at.append(time.monotonic())
    writer.close()
    return waits.taken[-1][0], answer.partition("\r\n\r\n")[0].lower()


def told(waits: Waits) -> dict[str, float | None]:
    """Return what there is to say of a kind of request."""
    good = waits.of(200)
    return {
        "p50_ms": percentile(good, 50),
        "p99_ms": percentile(good, 99),
        "failed": len(waits.taken) - len(good),
    }


def percentile(values: list[float], which: int) -> float | None:
    """Return a percentile of ordered values; None where there are too few."""
    if len(values) < 2:
        return None
    return round(statistics.quantiles(values, n=100, method="inclusive")[which - 1], 1)


if __name__ == "__main__":
    main()
