"""The memory of a server, and the time from its start to its first response."""

from functools import partial

from bench import cores, processes, wrk
from bench.bench import SETTINGS, Bench
from bench.contestants import Contestant
from bench.load import Failed
from bench.measuring import foreign_share, measure_in_turn, usage
from bench.operations import MIN_COST
from bench.results import Figures, Row
from bench.served import prepare, served
from bench.status import calls

WORKERS = 2
CONNECTIONS = 8
LOAD_SECONDS = 2.0


def memory(bench: Bench) -> None:
    """Measure the memory of two workers after a load, once, since it hardly varies."""
    rows, failures = {}, {}
    with bench.placed(cores.together()):
        for contestant in bench.contestants:
            try:
                rows[contestant.name] = Row(figures := _held(bench, contestant), [figures])
            except Failed as error:
                failures[contestant.name] = str(error)
    bench.results.put("memory", rows, failures)


def _held(bench: Bench, contestant: Contestant) -> Figures:
    """Measure one server alone: PSS would divide the memory that it shares with another."""
    everywhere, url = cores.together().server, bench.database.new()
    prepare(contestant, url, MIN_COST, SETTINGS)
    with served(contestant, url, everywhere, WORKERS) as server:
        before = usage(server.process, bench.database.process)
        wrk.run(server.port, calls(server), LOAD_SECONDS, CONNECTIONS)
        after = usage(server.process, bench.database.process)
        held = processes.memory(server.process, WORKERS)
    return {
        "resident_mb": held.resident,
        "unique_mb": held.unique,
        "proportional_mb": held.proportional,
        "foreign": foreign_share(before, after),
    }


def start(bench: Bench) -> None:
    """Measure the time from the start of one worker on one core to its first response.

    Each server is started once before, so that its bytecode is compiled.
    """
    works = {}
    failures = {}
    on = cores.apart()
    with bench.placed(on):
        for contestant in bench.contestants:
            url = bench.database.new()
            try:
                prepare(contestant, url, MIN_COST, SETTINGS)
                measure_start(bench, contestant, url, on.server)
            except Failed as error:
                failures[contestant.name] = str(error)
            else:
                works[contestant.name] = partial(measure_start, bench, contestant, url, on.server)
        rows, failed = measure_in_turn(works, bench.plan)
    bench.results.put("start", rows, failures | failed)


def measure_start(bench: Bench, contestant: Contestant, url: str, on: frozenset[int]) -> Figures:
    """Start and end a prepared server; return the time to its first response."""
    database = bench.database.process
    before = usage(database, database)
    with served(contestant, url, on) as server:
        seconds = server.startup_seconds
        after = usage(database, database)
    return {"seconds": seconds, "foreign": foreign_share(before, after)}
