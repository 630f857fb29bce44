"""One network logs in without pause, and others guess all the while: strangers and owners get in.

Two workers on PostgreSQL. X-Forwarded-For gives each client its own address.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from unittest import TestCase

import pytest

from project.tests import utils
from project.tests.faults.load import report
from project.tests.support import databases, servers
from project.tests.utils import PASSWORD, OverHTTP

MALLORY = "mallory@example.com"
OWNER = "owner@example.com"
STORMING = 24
"""Connections of the network that logs in without pause."""
TRIES = 10
ROUNDS = 59
"""Logins of the owner, about one a second."""
FOREIGN = 26
"""Networks that guess at the owner's account beside the neighbour."""
GUESS_PAUSE = 0.1
"""Seconds between the guesses of one network: some 200 a second of all, which the limits reject."""


class Storm:
    """A service at cost 12 that believes what X-Forwarded-For says."""

    def __init__(self, url: str) -> None:
        self.caller = OverHTTP(url)
        self.over = threading.Event()

    def login(
        self, address: str, email: str, password: str = PASSWORD, token: str | None = None
    ) -> tuple[int, str | None]:
        """Log in from this address; return the status and the device token."""
        payload = {"email": email, "password": password, "device_token": token}
        reply = self.caller.call("POST", "/auth/login", payload, **{"X-Forwarded-For": address})
        return reply.status, reply.body.get("device_token")

    def log_in_again_and_again(
        self, address: str, email: str, password: str, pause: float
    ) -> Counter[int]:
        """Log in after each pause until the storm is over; count the statuses."""
        statuses: Counter[int] = Counter()
        while not self.over.wait(pause):
            statuses[self.login(address, email, password)[0]] += 1
        return statuses

    @contextmanager
    def raging(
        self, addresses: list[str], clients: int, email: str, password: str, pause: float = 0
    ) -> Iterator[Counter[int]]:
        """Log in all the while that the block lasts; after it the counter is filled."""
        statuses: Counter[int] = Counter()
        with ThreadPoolExecutor(clients) as crowd:
            sources = [address for _, address in zip(range(clients), cycle(addresses))]
            storm = [
                crowd.submit(self.log_in_again_and_again, address, email, password, pause)
                for address in sources
            ]
            try:
                yield statuses
            finally:
                self.over.set()
                for client in storm:
                    statuses.update(client.result())


@pytest.mark.timeout(600)
class TestLoginStorm(TestCase):
    """Against real servers, with the limits as they are; waits are shortened where it says so."""

    def start(self, cost: int, **settings: str) -> Storm:
        """Start a service with three accounts, whose hashes have this cost."""
        url = databases.new_database()
        app = databases.new_app(url, BCRYPT_LOG_ROUNDS=cost)
        with app.app_context():
            for name in ("mallory", "owner", "stranger"):
                utils.add_user(name, f"{name}@example.com")
        environment = servers.environment(
            url, TRUSTED_PROXIES="127.0.0.1", BCRYPT_LOG_ROUNDS=str(cost), **settings
        )
        server, _ = self.enterContext(servers.started("granian", environment))
        return Storm(server)

    def test_a_stranger_gets_in_while_one_network_logs_in_without_pause(self) -> None:
        storm = self.start(cost=12)
        with storm.raging(["192.0.2.66"], STORMING, MALLORY, PASSWORD) as stormed:
            self.assertFalse(storm.over.wait(2))
            waits, statuses = [], Counter[int]()
            for number in range(TRIES):
                began_at = time.monotonic()
                statuses[storm.login(f"198.51.100.{number}", "stranger@example.com")[0]] += 1
                waits.append(time.monotonic() - began_at)
        report(
            f"One network logs in by {STORMING} connections without pause",
            stranger=dict(statuses),
            longest_wait_of_the_stranger=max(waits),
            storm=dict(stormed),
        )
        self.assertGreaterEqual(statuses[200], 9)

    def test_the_owners_device_gets_in_while_others_guess(self) -> None:
        # At full cost the first guesses of 27 networks fill the pool, until the limits hold.
        storm = self.start(cost=8, THROTTLE_INITIAL_BACKOFF="1s", THROTTLE_MAX_BACKOFF="8s")
        home = "192.0.2.1"
        _, token = storm.login(home, OWNER)
        foreign = [f"198.51.100.{number}" for number in range(FOREIGN)]
        by_device, without = Counter[int](), Counter[int]()
        with storm.raging([home, *foreign], FOREIGN + 1, OWNER, "wrong", GUESS_PAUSE) as guesses:
            while storm.login("203.0.113.9", OWNER, "wrong")[0] != 429:
                self.assertFalse(storm.over.wait(0.2))
            for _ in range(ROUNDS):
                status, renewed = storm.login(home, OWNER, token=token)
                by_device[status] += 1
                token = renewed or token
                without[storm.login(home, OWNER)[0]] += 1
                storm.over.wait(0.2)
        report(
            f"A neighbour and {FOREIGN} foreign networks guess all the while",
            owner_by_device_token=dict(by_device),
            owner_without=dict(without),
            guesses=dict(guesses),
        )
        self.assertEqual(by_device, {200: ROUNDS})
