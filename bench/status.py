"""What a status costs: who a token shows, asked on every request of other services.

Thirty-two tokens by turns. On one core first, then by two workers on both.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from bench import cores, floors, wrk
from bench.bench import FLOOR, OURS, Bench
from bench.contestants import Call
from bench.cores import Cores
from bench.load import Failed, Load
from bench.measuring import by_turns, measure
from bench.results import Figures
from bench.served import Served, accounts

ONE_CORE = "status"
TWO_WORKERS = "status_two_workers"
TOKENS = 32
MAX_CONNECTIONS = 4
WARMING_SECONDS = 1.0


def run(bench: Bench) -> None:
    """Measure both passes."""
    one_pass(bench, ONE_CORE, cores.apart(), workers=1)
    one_pass(bench, TWO_WORKERS, cores.together(), workers=2)


def one_pass(bench: Bench, section: str, on: Cores, workers: int) -> None:
    """Measure every contestant with so many workers; on one core the bare query too."""
    works: dict[str, Callable[[], Figures]] = {}
    failures: dict[str, str] = {}
    with bench.all_served(section, on, workers=workers) as running, ExitStack() as stack:
        for name, server in running.items():
            try:
                works[name] = asking(bench, server, calls(server), workers)
            except Failed as error:
                failures[name] = str(error)
        if OURS in works and workers == 1:
            ask = stack.enter_context(floors.query(running[OURS].database_url))
            process = bench.database.process
            works[floors.QUERY] = partial(
                floors.ask_database, ask, bench.plan.seconds, on.server, process
            )
        rows, failed = by_turns(works, bench.plan)
    bench.results.put(section, rows, failures | failed)


def calls(server: Served) -> list[Call]:
    """Return a status for each of the tokens. Raises Failed where one does not tell whose it is."""
    everybody = accounts(TOKENS)
    if server.contestant.name != FLOOR:
        server.register(everybody)
    asked = [server.contestant.status(tokens) for tokens in server.log_in(everybody)]
    for account, call in zip(everybody, asked, strict=True):
        told = server.call(call).body
        if server.contestant.name != FLOOR and account.email.encode() not in told:
            raise Failed(f"a status does not tell whose it is: {told[:200]!r}")
    return asked


def asking(bench: Bench, server: Served, asked: list[Call], workers: int) -> Callable[[], Figures]:
    """Return what measures these calls, sent by turns, on a server that is warm."""
    connections, seconds = MAX_CONNECTIONS * workers, bench.plan.seconds / workers
    wrk.run(server.port, asked, WARMING_SECONDS, connections)

    def ask() -> Figures:
        def work() -> Load:
            return wrk.run(server.port, asked, seconds, connections)

        return measure(server.process, bench.database.process, work).figures()

    return ask
