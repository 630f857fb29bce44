"""One run of the benchmark: its database, its contestants, and what is known so far."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench import cores
from bench.contestants import Contestant
from bench.cores import Cores
from bench.database import Database
from bench.load import Failed
from bench.measuring import Plan
from bench.results import Results
from bench.served import Served, prepare, served

FLOOR = "bare-flask"
"""The contestant that has no accounts: it takes part where a status or a server is measured."""
OURS = "users"
SETTINGS = {
    # Every request of the benchmark comes from one network; it is counted all the same.
    "THROTTLE_REGISTRATION": "1000000/1d",
    "THROTTLE_LOGINS": "1000000/1d",
    "THROTTLE_WRITES": "1000000/1d",
}


@dataclass(frozen=True)
class Bench:
    """What every part of the benchmark is given."""

    database: Database
    contestants: Sequence[Contestant]
    plan: Plan
    results: Results

    @contextmanager
    def placed(self, on: Cores) -> Iterator[None]:
        """Keep database and load on their cores for as long as the block lasts."""
        self.database.pin(on.load)
        with cores.pinned(on.load):
            yield

    @contextmanager
    def all_served(
        self,
        section: str,
        on: Cores,
        *,
        workers: int = 1,
        cost: int = 4,
        without: tuple[str, ...] = (),
    ) -> Iterator[dict[str, Served]]:
        """Serve the contestants at once, each on a database of its own; yield them by their names.

        Why one does not start is kept among the failures of the section.
        """
        running: dict[str, Served] = {}
        with self.placed(on), ExitStack() as stack:
            for contestant in self.contestants:
                if contestant.name in without:
                    continue
                url = self.database.new()
                try:
                    prepare(contestant, url, cost, SETTINGS)
                    serving = served(contestant, url, on.server, workers)
                    running[contestant.name] = stack.enter_context(serving)
                except Failed as error:
                    self.results.put(section, {}, {contestant.name: str(error)})
            yield running
