"""Measure whether a response reveals which e-mail addresses have an account.

    python -m bench.oracle [login|reset] [--samples 200]

`login` logs in with a wrong password at cost 12, alternating between an existing and a missing
account, and prints the ratio of the two median times.

`reset` requests password resets for known, unknown, inactive and unverified addresses in random
order, ten for each address, while the mail server accepts, refuses connections or hangs. It
compares the responses, the statements on the wire and the times, and exits with 1 if the responses
or the statements differ, or a median by more than 5 %.
"""

import argparse
import json
import random
import re
import statistics
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import islice

import psycopg2

from bench import cores, database
from bench.contestants import CONTESTANTS, Account
from bench.contestants.contestant import post
from bench.database import Database
from bench.load import Reply, send
from bench.served import PASSWORD, Served, accounts, prepare, reply, served
from project.tests.support import smtp, sql_proxy
from project.tests.support.postgres import free_port
from project.tests.support.smtp import HANG, FaultyServer

COST = 12
OURS = CONTESTANTS["users"]
UNTHROTTLED = {"THROTTLE_ENABLED": "false"}

KINDS = ("unknown", "known", "inactive", "unverified")
CALLS_PER_ADDRESS = 10
COUNTED = 20
"""Requests of each kind whose statements are recorded."""
WARM_UP = 50
MAX_DIFFERENCE = 0.05
KS_CRITICAL = 1.63
"""The factor of the two-sample Kolmogorov-Smirnov test at a level of 1 %."""
MAIL_SERVERS: dict[str, dict[str, smtp.Reply] | None] = {
    "accepts": {},
    "refuses": None,
    "hangs": {"greeting": HANG},
}
"""The replies of each mail server; None: nothing listens on its port."""
MAIL = {
    "MAIL_FROM": "no-reply@members.net",
    "FRONTEND_URL": "https://app.members.net",
    "TRUSTED_PROXIES": "127.0.0.1",
}
ADD_USERS = """
    INSERT INTO users (username, username_key, email, email_key, password, active, admin,
        created_at, email_verified_at)
    SELECT name, name, name || '@members.net', name || '@members.net', '!', %(kind)s <> 'inactive',
        false, now(), CASE WHEN %(kind)s <> 'unverified' THEN now() END
    FROM (SELECT %(kind)s || number AS name FROM generate_series(0, %(last)s) AS number) AS named
"""
REQUEST_ID = re.compile(rb'"request_id": ?"[\w-]{43}"')
LITERALS = re.compile(r"'[^']*'|\d+")

Calls = Iterator[tuple[str, Reply]]


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="login", choices=["login", "reset"])
    parser.add_argument("--samples", type=int, help="requests of each kind: 200, or 1000 resets")
    chosen = parser.parse_args()
    with database.running() as databases:
        if chosen.part == "login":
            return login(databases, chosen.samples or 200)
        return reset(databases, chosen.samples or 1000)


def login(databases: Database, samples: int) -> int:
    """Compare failed logins to an existing and a missing account."""
    known, unknown = [], []
    url, (somebody,) = databases.new(), accounts(1)
    prepare(OURS, url, COST, UNTHROTTLED)
    with served(OURS, url, cores.together().server) as service:
        service.register([somebody])
        for _ in range(samples):
            known.append(wait(service, somebody.email))
            unknown.append(wait(service, "nobody@example.com"))
    ratio = statistics.median(unknown) / statistics.median(known)
    print(
        json.dumps(
            {
                "samples": samples,
                "known_ms": round(statistics.median(known) * 1e3, 1),
                "unknown_ms": round(statistics.median(unknown) * 1e3, 1),
                "ratio": round(ratio, 4),
            },
            indent=2,
        )
    )
    return 0


def wait(service: Served, email: str) -> float:
    """Return the time of a failed login in seconds."""
    call = service.contestant.login(Account("", email, f"not {PASSWORD}"))
    answer = reply(service.port, call)
    if answer.status != 404:
        raise RuntimeError(f"login returned {answer.status}")
    return answer.seconds


def reset(databases: Database, samples: int) -> int:
    """Compare password resets with each state of the mail server."""
    passed = [count_statements(databases)]
    print("| mail server | address | median, ms | over unknown | KS | KS, request after it |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, replies in MAIL_SERVERS.items():
        with mail_server(replies) as url, serving(databases, samples, url) as (service, _):
            passed.append(report(name, list(calls(service.port, samples))))
    limit = KS_CRITICAL * (2 / samples) ** 0.5
    print(f"KS of equal distributions: below {limit:.3f} in 99 of 100 comparisons")
    return 0 if all(passed) else 1


@contextmanager
def mail_server(replies: dict[str, smtp.Reply] | None) -> Iterator[str]:
    """Run a mail server with these replies during the block; yield its URL."""
    if replies is None:
        yield f"smtp+plain://127.0.0.1:{free_port()}"
    else:
        with smtp.running(FaultyServer(replies=replies)) as server:
            yield server.url


@contextmanager
def serving(
    databases: Database, samples: int, mail_url: str, delivery: str = "workers"
) -> Iterator[tuple[Served, list[str]]]:
    """Serve new accounts of each kind; yield the service, and its statements if it has no mail."""
    url, on = databases.new(), cores.apart()
    databases.pin(on.load)
    settings = MAIL | {"MAIL_URL": mail_url, "MAIL_DELIVERY": delivery}
    prepare(OURS, url, COST, settings)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for kind in KINDS[1:]:
            cursor.execute(ADD_USERS, {"kind": kind, "last": samples // CALLS_PER_ADDRESS})
    if delivery == "workers":
        with cores.pinned(on.load), served(OURS, url, on.server) as service:
            yield service, []
        return
    with sql_proxy.through_proxy(url) as (watched, sent):
        prepare(OURS, watched, COST, settings)
        with served(OURS, watched, on.server) as service:
            yield service, sent


def calls(port: int, samples: int) -> Calls:
    """Request resets in random order, each from another network; yield kinds and responses."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        order = [(kind, number) for kind in KINDS for number in range(samples)]
        random.shuffle(order)
        warm_up = [("unknown", -number) for number in range(1, WARM_UP)]
        for which, (kind, number) in enumerate(warm_up + order):
            email = f"{kind}{number // CALLS_PER_ADDRESS}@members.net"
            network = f"10.{which >> 16}.{which >> 8 & 255}.{which & 255}"
            call = post("/auth/password/reset", {"email": email}, {"X-Forwarded-For": network})
            response = send(connection, call)
            if response.status != 202:
                raise RuntimeError(f"a reset returned {response.status}: {response.body!r}")
            if which >= len(warm_up):
                yield kind, response


def count_statements(databases: Database) -> bool:
    """Print how many statements a request sends; return whether all kinds send the same."""
    sent_by: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    closed = f"smtp+plain://127.0.0.1:{free_port()}"
    with serving(databases, COUNTED, closed, "command") as (service, sent):
        requested = calls(service.port, COUNTED)
        next(requested)  # after the warm-up
        sent.clear()
        for kind, _ in requested:
            sent_by[kind].add(tuple(LITERALS.sub("?", statement) for statement in sent))
            sent.clear()
    print("statements of a request:", {kind: [len(one) for one in sent_by[kind]] for kind in KINDS})
    return len(set().union(*sent_by.values())) == 1


def report(name: str, made: Sequence[tuple[str, Reply]]) -> bool:
    """Print the rows of a state of the mail server; return whether the kinds are alike."""
    times, after = defaultdict(list), defaultdict(list)
    forms: Counter[tuple[tuple[str, ...], bytes]] = Counter()
    for (kind, response), (_, following) in zip(
        made, [*islice(made, 1, None), made[-1]], strict=True
    ):
        times[kind].append(response.seconds)
        after[kind].append(following.seconds)
        forms[tuple(response.headers), REQUEST_ID.sub(b"", response.body)] += 1
    medians = {kind: statistics.median(times[kind]) for kind in KINDS}
    for kind in KINDS:
        ratio = medians[kind] / medians["unknown"]
        distances = [distance(found[kind], found["unknown"]) for found in (times, after)]
        print(
            f"| {name} | {kind} | {medians[kind] * 1e3:.2f} | {ratio:.3f} "
            f"| {distances[0]:.3f} | {distances[1]:.3f} |",
            flush=True,
        )
    if len(forms) > 1:
        print(f"the responses differ: {forms}")
    return len(forms) == 1 and max(medians.values()) <= min(medians.values()) * (1 + MAX_DIFFERENCE)


def distance(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic."""
    one, other = sorted(first), sorted(second)
    return max(
        abs(bisect_right(one, value) / len(one) - bisect_right(other, value) / len(other))
        for value in (*one, *other)
    )


if __name__ == "__main__":
    sys.exit(main())
