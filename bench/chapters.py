"""The tables of the page: what each shows, and how it is said."""

from dataclasses import dataclass

from bench.bench import OURS
from bench.floors import BCRYPT


@dataclass(frozen=True)
class Column:
    """A figure under a heading, multiplied by a scale and with so many decimals."""

    heading: str
    figure: str
    decimals: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Chapter:
    """A table of a section's rows, ordered by a ratio to one of them, which comes first."""

    title: str
    text: str
    section: str
    ratio: Column
    floor: str
    columns: tuple[Column, ...]
    plot: str = ""


FOREIGN = Column("foreign load, %", "foreign", 0, 100)
REQUESTS = (
    Column("server, µs CPU", "server_us"),
    Column("PostgreSQL, µs CPU", "database_us"),
    Column("requests/s", "requests_a_second"),
    Column("p50, ms", "p50_ms", 2),
    Column("p99, ms", "p99_ms", 1),
    FOREIGN,
)
LOGINS = (
    Column("beside the hash, ms CPU", "framework_us", 2, 1e-3),
    Column("server, ms CPU", "server_us", 2, 1e-3),
    Column("PostgreSQL, ms CPU", "database_us", 2, 1e-3),
    Column("logins/s", "requests_a_second", 1),
    Column("p50, ms", "p50_ms", 1),
    FOREIGN,
)
FULL_LOGINS = (
    Column("logins/s", "requests_a_second", 2),
    Column("server, ms CPU", "server_us", 1, 1e-3),
    Column("p50, ms", "p50_ms"),
    FOREIGN,
)
STORM = (
    Column("status p50, ms", "status_p50_ms", 1),
    Column("status p99, ms", "status_p99_ms", 1),
    Column("before it: p50, ms", "quiet_p50_ms", 1),
    Column("before it: p99, ms", "quiet_p99_ms", 1),
    Column("logins/s", "requests_a_second", 2),
    Column("answered 503", "overloaded"),
    FOREIGN,
)
GROWTH = (
    Column("status, ms", "status_ms", 2),
    Column("login at cost 4, ms", "login_ms", 2),
    Column("first page of the list, ms", "list_ms", 2),
    Column("page in its middle, ms", "deep_list_ms", 2),
    FOREIGN,
)
MEMORY = (
    Column("a worker, MB (RSS)", "resident_mb"),
    Column("of it its own, MB (USS)", "unique_mb"),
    Column("all processes by two, MB (PSS)", "proportional_mb"),
)
START = (Column("first answer after, s", "seconds", 2), FOREIGN)
COST = Column("CPU over ours", "server_us", 2)

CHAPTERS = (
    Chapter(
        "Status, one worker on one core",
        "Who a token shows, for 32 tokens by turns on four connections; PostgreSQL and the load on "
        "the other core. `bare-flask` is a route that answers a constant on the same server, and "
        "`raw psycopg2` the statement of our status in a loop.",
        "status", COST, OURS, REQUESTS, "status.svg",
    ),
    Chapter(
        "Status, two workers on two cores",
        "The same with eight connections; PostgreSQL and the load share the cores.",
        "status_two_workers", COST, OURS, REQUESTS,
    ),
    Chapter(
        "Login at cost 12, one worker on one core",
        "Four accounts on four connections. `raw bcrypt` checks as many passwords on that core, by "
        "Python's package; better-auth hashes by another, faster one.",
        "login_cost_12", Column("rate over raw bcrypt's", "requests_a_second", 3), BCRYPT,
        FULL_LOGINS,
    ),
    Chapter(
        "Login at cost 4: what there is beside the hash",
        "Many accounts, two logins each a round. Beside the hash is what a login costs the server "
        "less what a check by `raw bcrypt` does on the same core.",
        "login_cost_4", COST, OURS, LOGINS, "login.svg",
    ),
    Chapter(
        "Register", "At cost 4, each account once.", "register", COST, OURS, REQUESTS
    ),
    Chapter("Refresh", "Each refresh token once.", "refresh", COST, OURS, REQUESTS),
    Chapter("Log out", "Each token once.", "logout", COST, OURS, REQUESTS),
    Chapter(
        "A storm of logins",
        "Eight clients log in without pause at cost 12; four readers ask for a status twenty times "
        "a second each. Two workers on both cores, with PostgreSQL and the clients. Ours gives up "
        "some logins a second for it: who hashes stands back for all others. Three of the "
        "contestants take no part, for the time that it takes.",
        "storm", Column("status p50 over ours", "status_p50_ms", 2), OURS, STORM, "storm.svg",
    ),
    Chapter(
        "Growth",
        "This service alone, among so many users with as many sessions: the time of a request, "
        "p50, on one connection.",
        "growth", Column("status over that among 1,000", "status_ms", 2), "1000", GROWTH,
        "growth.svg",
    ),
    Chapter(
        "Memory",
        "Two workers, after two seconds of statuses; each contestant alone.",
        "memory", Column("PSS over ours", "proportional_mb", 2), OURS, MEMORY,
    ),
    Chapter(
        "Start",
        "From the start of a server with one worker to its first answer; its bytecode is compiled.",
        "start", Column("time over ours", "seconds", 2), OURS, START,
    ),
)  # fmt: skip
