"""The cost of a status, the request for the user of a token, which other services send most.

Thirty-two tokens are used in turn, first with one worker on one core, then with two on two cores.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from bench import cores, floors, wrk
from bench.bench import FLOOR, OURS, Bench
from bench.contestants import Call
from bench.cores import Cores
from bench.load import Failed, Load
from bench.measuring import measure, measure_in_turn
from bench.results import Figures
from bench.served import Served, accounts

ONE_CORE = "status"
TWO_WORKERS = "status_two_workers"
TOKENS = 32
CONNECTIONS = 4
WARM_UP_SECONDS = 1.0


def run(bench: Bench) -> None:
    """Measure a status with one worker, then with two."""
    measure_section(bench, ONE_CORE, cores.apart(), workers=1)
    measure_section(bench, TWO_WORKERS, cores.together(), workers=2)


def measure_section(bench: Bench, section: str, on: Cores, workers: int) -> None:
    """Measure every contestant with this number of workers; with one, the query alone too."""
    works: dict[str, Callable[[], Figures]] = {}
    failures: dict[str, str] = {}
    with bench.all_served(section, on, workers=workers) as running, ExitStack() as stack:
        for name, server in running.items():
            try:
                works[name] = measuring(bench, server, calls(server), workers)
            except Failed as error:
                failures[name] = str(error)
        if OURS in works and workers == 1:
            ask = stack.enter_context(floors.query(running[OURS].database_url))
            process = bench.database.process
            works[floors.QUERY] = partial(
                floors.ask_database, ask, bench.plan.seconds, on.server, process
            )
        rows, failed = measure_in_turn(works, bench.plan)
    bench.results.put(section, rows, failures | failed)


def calls(server: Served) -> list[Call]:
    """Return a request for each of the tokens. Raises Failed if a response has the wrong user."""
    everybody = accounts(TOKENS)
    if server.contestant.name != FLOOR:
        server.register(everybody)
    asked = [server.contestant.status(tokens) for tokens in server.log_in(everybody)]
    for account, call in zip(everybody, asked, strict=True):
        body = server.call(call).body
        if server.contestant.name != FLOOR and account.email.encode() not in body:
            raise Failed(f"the status is not that of the token's user: {body[:200]!r}")
    return asked


def measuring(
    bench: Bench, server: Served, asked: list[Call], workers: int
) -> Callable[[], Figures]:
    """Warm the server up; return a function that measures these requests, sent in turn."""
    connections, seconds = CONNECTIONS * workers, bench.plan.seconds / workers
    wrk.run(server.port, asked, WARM_UP_SECONDS, connections)

    def work() -> Load:
        return wrk.run(server.port, asked, seconds, connections)

    return lambda: measure(server.process, bench.database.process, work).figures()
