"""The chapters of the page: their tables and texts."""

from dataclasses import dataclass

from bench.bench import OURS
from bench.floors import BCRYPT


@dataclass(frozen=True)
class Column:
    """A column of figures, multiplied by a scale and rounded to a number of decimals."""

    heading: str
    figure: str
    decimals: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Chapter:
    """A table of a section's rows, ordered by their ratio to a baseline, the first column."""

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
    Column("without the hash, ms CPU", "framework_us", 2, 1e-3),
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
    Column("503 responses", "overloaded"),
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
    Column("not shared, MB (USS)", "unique_mb"),
    Column("all processes per worker, MB (PSS)", "proportional_mb"),
)
START = (Column("first response after, s", "seconds", 2), FOREIGN)
COST = Column("CPU over ours", "server_us", 2)

CHAPTERS = (
    Chapter(
        "Status, one worker on one core",
        "The user of a token, for 32 tokens in turn on four connections; PostgreSQL and the load "
        "use the other core. `bare-flask` is a route that returns a constant on the same server, "
        "and `raw psycopg2` runs the statement of our status in a loop.",
        "status", COST, OURS, REQUESTS, "status.svg",
    ),
    Chapter(
        "Status, two workers on two cores",
        "The same with eight connections; PostgreSQL and the load share the cores.",
        "status_two_workers", COST, OURS, REQUESTS,
    ),
    Chapter(
        "Login at cost 12, one worker on one core",
        "Four accounts on four connections. `raw bcrypt` checks the same number of passwords on "
        "that core with Python's package; better-auth uses another, faster implementation.",
        "login_cost_12", Column("rate over raw bcrypt's", "requests_a_second", 3), BCRYPT,
        FULL_LOGINS,
    ),
    Chapter(
        "Login at cost 4: the cost without the hash",
        "Many accounts, with two logins each per round. The cost without the hash is the processor "
        "time of a login minus that of a check by `raw bcrypt` on the same core.",
        "login_cost_4", COST, OURS, LOGINS, "login.svg",
    ),
    Chapter(
        "Register", "At cost 4, each account once.", "register", COST, OURS, REQUESTS
    ),
    Chapter("Refresh", "Each refresh token once.", "refresh", COST, OURS, REQUESTS),
    Chapter("Log out", "Each token once.", "logout", COST, OURS, REQUESTS),
    Chapter(
        "A storm of logins",
        "Eight clients log in without pause at cost 12; four readers request a status twenty times "
        "a second each. Two workers share both cores with PostgreSQL and the clients. This service "
        "gives up some logins per second, since its hashing threads have a lower priority. Three "
        "of the contestants are left out to save time.",
        "storm", Column("status p50 over ours", "status_p50_ms", 2), OURS, STORM, "storm.svg",
    ),
    Chapter(
        "Growth",
        "This service alone, with different numbers of users and one session for each: the median "
        "latency on one connection.",
        "growth", Column("status over that with 1,000", "status_ms", 2), "1000", GROWTH,
        "growth.svg",
    ),
    Chapter(
        "Memory",
        "Two workers after two seconds of load; each contestant alone.",
        "memory", Column("PSS over ours", "proportional_mb", 2), OURS, MEMORY,
    ),
    Chapter(
        "Start",
        "From the start of a server with one worker to its first response, with compiled bytecode.",
        "start", Column("time over ours", "seconds", 2), OURS, START,
    ),
)  # fmt: skip
