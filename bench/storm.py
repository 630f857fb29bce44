"""A storm of logins at the full cost, and what those feel of it who only ask for a status.

Clients log in without pause, and after a 503 try again when it tells them; beside them readers ask
for a status every twentieth of a second each, before the storm and during it. Two workers on both
cores, which clients and database share. The logins a second stand beside what bcrypt alone does on
the same cores.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from bench import cores, floors
from bench.bench import FLOOR, Bench
from bench.contestants import Account, Call
from bench.deeds import FULL_COST
from bench.load import Failed, percentile_ms, raw
from bench.measuring import by_turns, foreign_share, usage
from bench.results import Figures
from bench.served import Served, accounts

SECTION = "storm"
WORKERS = 2
CLIENTS = 8
READERS = 4
STEP_SECONDS = 0.05
QUIET_SHARE = 0.25
"""How long the quiet before the storm is, of the storm's length."""
CHECKS = 24
CHOSEN = (
    "users", "tutorial", "flask-jwt-extended", "django-simplejwt", "fastapi-users-jwt",
    "better-auth",
)  # fmt: skip


@dataclass
class Answers:
    """What came: the waits of those that were let in, and how many were refused by which status."""

    waits: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    def note(self, status: int, seconds: float) -> None:
        """Keep an answer."""
        if 200 <= status < 300:
            self.waits.append(seconds)
        else:
            self.refused[status] = self.refused.get(status, 0) + 1


@dataclass(frozen=True)
class Storm:
    """Who takes part in it, on a server that is up."""

    server: Served
    logins: Sequence[Call]
    readers: Sequence[Call]

    def figures(self, seconds: float, database: psutil.Process) -> Figures:
        """Have a quiet and a storm of so many seconds. Raises Failed where a reader is refused."""
        before = usage(self.server.process, database)
        quiet, storm, logins, elapsed = asyncio.run(self._both(seconds))
        after = usage(self.server.process, database)
        refused = {**quiet.refused, **storm.refused}
        if refused or not (quiet.waits and storm.waits):
            raise Failed(f"readers were refused: {refused}")
        if other := {status for status in logins.refused if status != 503}:
            raise Failed(f"logins were refused: {other}")
        return {
            "status_p50_ms": percentile_ms(storm.waits, 50),
            "status_p99_ms": percentile_ms(storm.waits, 99),
            "statuses": len(storm.waits),
            "quiet_p50_ms": percentile_ms(quiet.waits, 50),
            "quiet_p99_ms": percentile_ms(quiet.waits, 99),
            "requests_a_second": len(logins.waits) / elapsed,
            "overloaded": logins.refused.get(503, 0),
            "foreign": foreign_share(before, after),
        }

    async def _both(self, seconds: float) -> tuple[Answers, Answers, Answers, float]:
        quiet = await self._readers(time.monotonic() + seconds * QUIET_SHARE)
        began, logins = time.monotonic(), Answers()
        clients = [self._client(call, logins, began + seconds) for call in self.logins]
        crowd = asyncio.gather(*clients)
        storm = await self._readers(began + seconds)
        await crowd
        return quiet, storm, logins, time.monotonic() - began

    async def _client(self, call: Call, logins: Answers, deadline: float) -> None:
        """Log in again and again; what is asked before the deadline is waited for."""
        while time.monotonic() < deadline:
            head = await asked(self.server.port, call, logins)
            if head.get("retry-after"):
                await asyncio.sleep(float(head["retry-after"]))

    async def _readers(self, deadline: float) -> Answers:
        responds = Answers()
        await asyncio.gather(*(self._reader(call, responds, deadline) for call in self.readers))
        return responds

    async def _reader(self, call: Call, responds: Answers, deadline: float) -> None:
        """Ask in even steps; a step that an answer was late for is left out."""
        while (began := time.monotonic()) < deadline:
            await asked(self.server.port, call, responds)
            await asyncio.sleep(max(0.0, began + STEP_SECONDS - time.monotonic()))


async def asked(port: int, call: Call, responds: Answers) -> Mapping[str, str]:
    """Send a call on a connection of its own; note the wait, and return the header fields."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    closing = Call(call.method, call.path, {**call.headers, "Connection": "close"}, call.body)
    writer.write(raw(port, closing))
    head, *fields = (await reader.read()).partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    writer.close()
    responds.note(int(head.split()[1]), time.monotonic() - began)
    named = (one.partition(":") for one in fields)
    return {name.lower(): value.strip() for name, _, value in named}


def run(bench: Bench, clients: int = CLIENTS) -> None:
    """Measure the storm of some contestants, and bcrypt alone."""
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
        bench.results.put(SECTION, *by_turns(works, bench.plan))


def _ready(bench: Bench, server: Served, clients: int) -> Callable[[], Figures]:
    """Return what has a storm: each client and each reader is somebody else."""
    everybody = accounts(clients + READERS)
    server.register(everybody)
    readers = [server.contestant.status(one) for one in server.log_in(everybody[clients:])]
    logins = [_login(server, one) for one in everybody[:clients]]
    storm, seconds = Storm(server, logins, readers), bench.plan.storm_seconds
    return lambda: storm.figures(seconds, bench.database.process)


def _login(server: Served, account: Account) -> Call:
    return server.contestant.login(account)
