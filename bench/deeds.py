"""What it costs to register, log in, refresh and log out.

At bcrypt's least cost, where what is around the hash can be seen, and to log in at the full cost
too. Every request is sent once, since most of them use something up; each account logs in twice a
round. Floors are as many checks by bcrypt itself, on the same core, by turns with the others.
"""

from collections.abc import Callable, Sequence
from functools import partial

from bench import cores, floors
from bench.bench import FLOOR, Bench
from bench.contestants import Account, Call, Tokens
from bench.load import Failed, Load, send_all
from bench.measuring import by_turns, measure
from bench.results import Figures, Row
from bench.served import Served, accounts

MIN_COST = 4
FULL_COST = 12
FEW = 4
"""Accounts that log in at the full cost."""
MAX_CONNECTIONS = 4
CHECKS = 1000
LOGIN = "login_cost_4"
FULL_LOGIN = "login_cost_12"


class Deeds:
    """The deeds of a contestant that is served, each as a measurement of a round."""

    def __init__(self, bench: Bench, server: Served) -> None:
        self.bench = bench
        self.server = server
        self.everybody: list[Account] = []
        self._registered = 0

    def prepare(self, count: int) -> None:
        """Register so many accounts, who are those that log in and out, and log in each once."""
        self.everybody = self._new(count)
        self.server.register(self.everybody)
        self.server.log_in(self.everybody)

    def register(self) -> Figures:
        """Measure as many new accounts."""
        contestant = self.server.contestant
        return self._measure([contestant.register(one) for one in self._new(len(self.everybody))])

    def login(self, count: int) -> Figures:
        """Measure so many logins, by turns of all accounts."""
        turns = [self.everybody[number % len(self.everybody)] for number in range(count)]
        return self._measure([self.server.contestant.login(one) for one in turns])

    def refresh(self) -> Figures:
        """Measure one refresh for each account. Raises Failed where there is none."""
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
            return send_all(self.server.port, calls, MAX_CONNECTIONS)[0]

        return measure(self.server.process, self.bench.database.process, work).figures()


def run(bench: Bench) -> None:
    """Measure all deeds at the least cost, then logins at the full one."""
    at_least_cost(bench)
    at_full_cost(bench)


def at_least_cost(bench: Bench) -> None:
    """Measure every deed, with what a login costs beside its hash."""
    on, plan = cores.apart(), bench.plan
    with bench.all_served(LOGIN, on, cost=MIN_COST, without=(FLOOR,)) as running:
        ready = _ready(bench, LOGIN, running, plan.accounts)
        floor = partial(floors.check_passwords, MIN_COST, CHECKS, on.server, bench.database.process)
        logins = {name: partial(deeds.login, 2 * plan.accounts) for name, deeds in ready.items()}
        _put(bench, LOGIN, {floors.BCRYPT: floor, **logins})
        _put(bench, "register", {name: deeds.register for name, deeds in ready.items()})
        _put(bench, "refresh", {name: deeds.refresh for name, deeds in ready.items()})
        _put(bench, "logout", {name: deeds.logout for name, deeds in ready.items()})
    if floors.BCRYPT in bench.results.sections[LOGIN]:
        add_framework(bench.results.sections[LOGIN])


def at_full_cost(bench: Bench) -> None:
    """Measure logins as they are in production."""
    on, plan = cores.apart(), bench.plan
    with bench.all_served(FULL_LOGIN, on, cost=FULL_COST, without=(FLOOR,)) as running:
        ready = _ready(bench, FULL_LOGIN, running, FEW)
        floor = partial(
            floors.check_passwords, FULL_COST, plan.logins, on.server, bench.database.process
        )
        logins = {name: partial(deeds.login, plan.logins) for name, deeds in ready.items()}
        _put(bench, FULL_LOGIN, {floors.BCRYPT: floor, **logins})


def add_framework(rows: dict[str, Row]) -> None:
    """Add to each login what it costs beside one check by bcrypt, in microseconds."""
    floor = rows[floors.BCRYPT]
    for row in rows.values():
        row.figures["framework_us"] = row.figures["server_us"] - floor.figures["server_us"]
        for one, bare in zip(row.rounds, floor.rounds, strict=False):
            one["framework_us"] = one["server_us"] - bare["server_us"]


def _ready(bench: Bench, section: str, running: dict[str, Served], count: int) -> dict[str, Deeds]:
    ready = {}
    for name, server in running.items():
        deeds = Deeds(bench, server)
        try:
            deeds.prepare(count)
        except Failed as error:
            bench.results.put(section, {}, {name: str(error)})
        else:
            ready[name] = deeds
    return ready


def _put(bench: Bench, section: str, works: dict[str, Callable[[], Figures]]) -> None:
    bench.results.put(section, *by_turns(works, bench.plan))
