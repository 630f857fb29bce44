"""The cost of registering, logging in, refreshing and logging out.

All are measured at bcrypt's minimum cost, where the rest of the request is visible, and logins at
the full cost too. Each request is sent once, since most can succeed only once; each account logs in
twice a round. The baseline is the same number of checks by bcrypt alone, on the same core.
"""

from collections.abc import Callable, Sequence
from functools import partial

from bench import cores, floors
from bench.bench import FLOOR, Bench
from bench.contestants import Account, Call, Tokens
from bench.load import Failed, Load, send_all
from bench.measuring import measure, measure_in_turn
from bench.results import Figures, Row
from bench.served import Served, accounts

MIN_COST = 4
FULL_COST = 12
FEW = 4
"""Accounts that log in at the full cost."""
CONNECTIONS = 4
CHECKS = 1000
LOGIN = "login_cost_4"
FULL_LOGIN = "login_cost_12"


class Operations:
    """The operations of a running contestant. Each method measures one round."""

    def __init__(self, bench: Bench, server: Served) -> None:
        self.bench = bench
        self.server = server
        self.everybody: list[Account] = []
        self._registered = 0

    def prepare(self, count: int) -> None:
        """Register the accounts of the measurement, and log in each once."""
        self.everybody = self._new(count)
        self.server.register(self.everybody)
        self.server.log_in(self.everybody)

    def register(self) -> Figures:
        """Measure the registration of the same number of new accounts."""
        contestant = self.server.contestant
        return self._measure([contestant.register(one) for one in self._new(len(self.everybody))])

    def login(self, count: int) -> Figures:
        """Measure this number of logins, taking all accounts in turn."""
        turns = [self.everybody[number % len(self.everybody)] for number in range(count)]
        return self._measure([self.server.contestant.login(one) for one in turns])

    def refresh(self) -> Figures:
        """Measure one refresh for each account. Raises Failed if there are no refresh tokens."""
        contestant = self.server.contestant
        if contestant.refresh(Tokens("", "")) is None:
            raise Failed("has no refresh tokens")
        refreshes = [contestant.refresh(one) for one in self.server.log_in(self.everybody)]
        return self._measure([call for call in refreshes if call is not None])

    def logout(self) -> Figures:
        """Measure one logout for each account."""
        tokens = self.server.log_in(self.everybody)
        return self._measure([self.server.contestant.logout(one) for one in tokens])

    def _new(self, count: int) -> list[Account]:
        first, self._registered = self._registered, self._registered + count
        return accounts(count, first)

    def _measure(self, calls: Sequence[Call]) -> Figures:
        def work() -> Load:
            return send_all(self.server.port, calls, CONNECTIONS)[0]

        return measure(self.server.process, self.bench.database.process, work).figures()


def run(bench: Bench) -> None:
    """Measure all operations at the minimum cost, then logins at the full cost."""
    measure_at_min_cost(bench)
    measure_at_full_cost(bench)


def measure_at_min_cost(bench: Bench) -> None:
    """Measure every operation, and the cost of a login without its hash."""
    on, plan = cores.apart(), bench.plan
    with bench.all_served(LOGIN, on, cost=MIN_COST, without=(FLOOR,)) as running:
        ready = _ready(bench, LOGIN, running, plan.accounts)
        floor = partial(floors.check_passwords, MIN_COST, CHECKS, on.server, bench.database.process)
        logins = {
            name: partial(operations.login, 2 * plan.accounts) for name, operations in ready.items()
        }
        _put(bench, LOGIN, {floors.BCRYPT: floor, **logins})
        _put(bench, "register", {name: operations.register for name, operations in ready.items()})
        _put(bench, "refresh", {name: operations.refresh for name, operations in ready.items()})
        _put(bench, "logout", {name: operations.logout for name, operations in ready.items()})
    if floors.BCRYPT in bench.results.sections[LOGIN]:
        add_framework_cost(bench.results.sections[LOGIN])


def measure_at_full_cost(bench: Bench) -> None:
    """Measure logins at the cost of production."""
    on, plan = cores.apart(), bench.plan
    with bench.all_served(FULL_LOGIN, on, cost=FULL_COST, without=(FLOOR,)) as running:
        ready = _ready(bench, FULL_LOGIN, running, FEW)
        floor = partial(
            floors.check_passwords, FULL_COST, plan.logins, on.server, bench.database.process
        )
        logins = {
            name: partial(operations.login, plan.logins) for name, operations in ready.items()
        }
        _put(bench, FULL_LOGIN, {floors.BCRYPT: floor, **logins})


def add_framework_cost(rows: dict[str, Row]) -> None:
    """Add to each row the cost of a login without bcrypt's check, in microseconds."""
    floor = rows[floors.BCRYPT]
    for row in rows.values():
        row.figures["framework_us"] = row.figures["server_us"] - floor.figures["server_us"]
        for one, bare in zip(row.rounds, floor.rounds, strict=False):
            one["framework_us"] = one["server_us"] - bare["server_us"]


def _ready(
    bench: Bench, section: str, running: dict[str, Served], count: int
) -> dict[str, Operations]:
    ready = {}
    for name, server in running.items():
        operations = Operations(bench, server)
        try:
            operations.prepare(count)
        except Failed as error:
            bench.results.put(section, {}, {name: str(error)})
        else:
            ready[name] = operations
    return ready


def _put(bench: Bench, section: str, works: dict[str, Callable[[], Figures]]) -> None:
    bench.results.put(section, *measure_in_turn(works, bench.plan))
