"""A storm of logins at cost 12, and its effect on the latency of a status.

Clients log in without pause, and after a 503 wait as its Retry-After states. Meanwhile readers
request a status twenty times a second each, before and during the storm. Two workers share both
cores with clients and database. The baseline of the logins is bcrypt alone on the same cores.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from bench import cores, floors
from bench.bench import FLOOR, Bench
from bench.contestants import Account, Call
from bench.load import Failed, percentile_ms, raw
from bench.measuring import foreign_share, measure_in_turn, usage
from bench.operations import FULL_COST
from bench.results import Figures
from bench.served import Served, accounts

SECTION = "storm"
WORKERS = 2
CLIENTS = 8
READERS = 4
STEP_SECONDS = 0.05
QUIET_SHARE = 0.25
"""Length of the quiet period before the storm, as a share of the storm's length."""
CHECKS = 24
CHOSEN = (
    "users", "tutorial", "flask-jwt-extended", "django-simplejwt", "fastapi-users-jwt",
    "better-auth",
)  # fmt: skip


@dataclass
class Responses:
    """The latencies of successful requests, and the number of rejected ones by status."""

    waits: list[float] = field(default_factory=list)
    rejected: dict[int, int] = field(default_factory=dict)

    def record(self, status: int, seconds: float) -> None:
        """Record a response."""
        if 200 <= status < 300:
            self.waits.append(seconds)
        else:
            self.rejected[status] = self.rejected.get(status, 0) + 1


@dataclass(frozen=True)
class Storm:
    """The clients of the storm, and the running server."""

    server: Served
    logins: Sequence[Call]
    readers: Sequence[Call]

    def figures(self, seconds: float, database: psutil.Process) -> Figures:
        """Measure a quiet period and a storm. Raises Failed if a reader is rejected."""
        before = usage(self.server.process, database)
        quiet, storm, logins, elapsed = asyncio.run(self._both(seconds))
        after = usage(self.server.process, database)
        rejected = {**quiet.rejected, **storm.rejected}
        if rejected or not (quiet.waits and storm.waits):
            raise Failed(f"readers were rejected: {rejected}")
        if other := {status for status in logins.rejected if status != 503}:
            raise Failed(f"logins were rejected: {other}")
        return {
            "status_p50_ms": percentile_ms(storm.waits, 50),
            "status_p99_ms": percentile_ms(storm.waits, 99),
            "statuses": len(storm.waits),
            "quiet_p50_ms": percentile_ms(quiet.waits, 50),
            "quiet_p99_ms": percentile_ms(quiet.waits, 99),
            "requests_a_second": len(logins.waits) / elapsed,
            "overloaded": logins.rejected.get(503, 0),
            "foreign": foreign_share(before, after),
        }

    async def _both(self, seconds: float) -> tuple[Responses, Responses, Responses, float]:
        quiet = await self._readers(time.monotonic() + seconds * QUIET_SHARE)
        began, logins = time.monotonic(), Responses()
        clients = [self._client(call, logins, began + seconds) for call in self.logins]
        crowd = asyncio.gather(*clients)
        storm = await self._readers(began + seconds)
        await crowd
        return quiet, storm, logins, time.monotonic() - began

    async def _client(self, call: Call, logins: Responses, deadline: float) -> None:
        """Log in repeatedly until the deadline, and wait for the last response."""
        while time.monotonic() < deadline:
            head = await send(self.server.port, call, logins)
            if head.get("retry-after"):
                await asyncio.sleep(float(head["retry-after"]))

    async def _readers(self, deadline: float) -> Responses:
        responds = Responses()
        await asyncio.gather(*(self._reader(call, responds, deadline) for call in self.readers))
        return responds

    async def _reader(self, call: Call, responds: Responses, deadline: float) -> None:
        """Request a status at a constant rate; skip requests for which the previous one is late."""
        while (began := time.monotonic()) < deadline:
            await send(self.server.port, call, responds)
            await asyncio.sleep(max(0.0, began + STEP_SECONDS - time.monotonic()))


async def send(port: int, call: Call, responds: Responses) -> Mapping[str, str]:
    """Send a request on a new connection; record its latency and return the header fields."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    closing = Call(call.method, call.path, {**call.headers, "Connection": "close"}, call.body)
    writer.write(raw(port, closing))
    head, *fields = (await reader.read()).partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    writer.close()
    responds.record(int(head.split()[1]), time.monotonic() - began)
    named = (one.partition(":") for one in fields)
    return {name.lower(): value.strip() for name, _, value in named}


def run(bench: Bench, clients: int = CLIENTS) -> None:
    """Measure a storm with some contestants, and bcrypt alone."""
    on = cores.together()
    others = tuple(one.name for one in bench.contestants if one.name not in CHOSEN)
    works: dict[str, Callable[[], Figures]] = {}
    with bench.all_served(
        SECTION, on, workers=WORKERS, cost=FULL_COST, without=(FLOOR, *others)
    ) as running:
        for name, server in running.items():
            try:
                works[name] = _ready(bench, server, clients)
            except Failed as error:
                bench.results.put(SECTION, {}, {name: str(error)})
        works[floors.BCRYPT] = lambda: floors.check_passwords(
            FULL_COST, CHECKS, on.server, bench.database.process
        )
        bench.results.put(SECTION, *measure_in_turn(works, bench.plan))


def _ready(bench: Bench, server: Served, clients: int) -> Callable[[], Figures]:
    """Return a function that runs the storm. Each client and each reader has its own account."""
    everybody = accounts(clients + READERS)
    server.register(everybody)
    readers = [server.contestant.status(one) for one in server.log_in(everybody[clients:])]
    logins = [_login(server, one) for one in everybody[:clients]]
    storm, seconds = Storm(server, logins, readers), bench.plan.storm_seconds
    return lambda: storm.figures(seconds, bench.database.process)


def _login(server: Served, account: Account) -> Call:
    return server.contestant.login(account)
