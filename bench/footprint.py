"""What a server takes before it does anything: memory, and time to its first answer."""

from functools import partial

from bench import cores, processes, wrk
from bench.bench import SETTINGS, Bench
from bench.contestants import Contestant
from bench.deeds import MIN_COST
from bench.load import Failed
from bench.measuring import by_turns, foreign_share, usage
from bench.results import Figures, Row
from bench.served import prepare, served
from bench.status import calls

WORKERS = 2
MAX_CONNECTIONS = 8
LOAD_SECONDS = 2.0


def memory(bench: Bench) -> None:
    """Measure what two workers hold after a load; once, since it hardly varies."""
    rows, failures = {}, {}
    with bench.placed(cores.together()):
        for contestant in bench.contestants:
            try:
                rows[contestant.name] = Row(figures := _held(bench, contestant), [figures])
            except Failed as error:
                failures[contestant.name] = str(error)
    bench.results.put("memory", rows, failures)


def _held(bench: Bench, contestant: Contestant) -> Figures:
    """Serve alone, so that what two servers share is not counted in half."""
    everywhere, url = cores.together().server, bench.database.new()
    prepare(contestant, url, MIN_COST, SETTINGS)
    with served(contestant, url, everywhere, WORKERS) as server:
        before = usage(server.process, bench.database.process)
        wrk.run(server.port, calls(server), LOAD_SECONDS, MAX_CONNECTIONS)
        after = usage(server.process, bench.database.process)
        held = processes.memory(server.process, WORKERS)
    return {
        "resident_mb": held.resident,
        "unique_mb": held.unique,
        "proportional_mb": held.proportional,
        "foreign": foreign_share(before, after),
    }


def start(bench: Bench) -> None:
    """Measure how long one worker on one core takes from its start to its first answer.

    Everything has been started once before, so that its bytecode is compiled.
    """
    works = {}
    failures = {}
    on = cores.apart()
    with bench.placed(on):
        for contestant in bench.contestants:
            url = bench.database.new()
            try:
                prepare(contestant, url, MIN_COST, SETTINGS)
                started_in(bench, contestant, url, on.server)
            except Failed as error:
                failures[contestant.name] = str(error)
            else:
                works[contestant.name] = partial(started_in, bench, contestant, url, on.server)
        rows, failed = by_turns(works, bench.plan)
    bench.results.put("start", rows, failures | failed)


def started_in(bench: Bench, contestant: Contestant, url: str, on: frozenset[int]) -> Figures:
    """Start and end a server whose schema is there; return how long its first answer took."""
    database = bench.database.process
    before = usage(database, database)
    with served(contestant, url, on) as server:
        seconds = server.started_in
        after = usage(database, database)
    return {"seconds": seconds, "foreign": foreign_share(before, after)}
