"""A run of the benchmark: its database, its contestants and its results."""

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
"""The contestant without accounts. It is measured for its status and its server only."""
OURS = "users"
SETTINGS = {
    # All requests come from one network. Attempts are counted, against limits that are too high.
    "THROTTLE_REGISTRATION": "1000000/1d",
    "THROTTLE_LOGINS": "1000000/1d",
    "THROTTLE_WRITES": "1000000/1d",
}


@dataclass(frozen=True)
class Bench:
    """The arguments of every part of the benchmark."""

    database: Database
    contestants: Sequence[Contestant]
    plan: Plan
    results: Results

    @contextmanager
    def placed(self, on: Cores) -> Iterator[None]:
        """Pin the database and the load to their cores during the block."""
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
        """Serve all contestants, each with its own database; yield them by name.

        The reason why one does not start is stored with the failures of the section.
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
