"""Three servers behind nginx on one database: what one knows, all know at the next request."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from unittest import TestCase
from urllib.parse import urlsplit

import pytest

from project.tests import utils
from project.tests.faults.load import report
from project.tests.support import databases, proxies, servers
from project.tests.utils import OverHTTP

DOCUMENTED = re.search(
    r"## Behind nginx.*?```nginx\n(.*?)```",
    (proxies.DOCS / "several-servers.md").read_text(),
    re.DOTALL,
)
LOGOUTS = 60
GUESSES_LET_IN = 5
CROWD = 40


def balanced(urls: Iterable[str]) -> AbstractContextManager[str]:
    """Run nginx before these servers as the docs configure it; each response names its server."""
    assert DOCUMENTED is not None
    line = re.compile(r"server users-service-\d:5000(.*;)")
    first, *others = line.finditer(DOCUMENTED[1])
    entries = "\n".join(f"server {urlsplit(url).netloc}{first[1]}" for url in urls)
    written = DOCUMENTED[1].replace(first[0], entries)
    for other in others:
        written = written.replace(other[0], "")
    answered_by = "add_header X-Answered-By $upstream_addr always;\n"
    return proxies.nginx_with(written.replace("proxy_pass", f"{answered_by}proxy_pass"))


@pytest.mark.timeout(600)
class TestReplicas(TestCase):
    """Each with two workers of its own."""

    def setUp(self) -> None:
        url = databases.new_database()
        app = databases.new_app(url)
        with app.app_context():
            utils.add_user()
        settings = {
            "TRUSTED_PROXIES": "127.0.0.1",
            "THROTTLE_ACCOUNT_NETWORK": f"{GUESSES_LET_IN}/15m",
        }
        urls = [self.enterContext(servers.running("granian", url, **settings)) for _ in range(3)]
        self.replicas = [OverHTTP(url) for url in urls]
        self.together = OverHTTP(self.enterContext(balanced(urls)))

    def test_a_logout_takes_effect_on_every_server_at_once(self) -> None:
        answered_by: Counter[str] = Counter()
        for number in range(LOGOUTS):
            login = self.together.login()
            answered_by[login.headers["X-Answered-By"]] += 1
            token = login.body["auth_token"]
            for replica in self.replicas:
                self.assertEqual(replica.status(token).status, 200)
            self.assertEqual(self.replicas[number % 3].logout(token).status, 200)
            for replica in self.replicas:
                self.assertEqual(replica.status(token).body["code"], "session_ended")
        self.assertEqual(len(answered_by), 3)
        report("Logouts, each seen by all of three servers", logouts=LOGOUTS)

    def test_guesses_are_counted_over_all(self) -> None:
        in_turn = self.statuses_of(map, "in-turn@example.com")
        with ThreadPoolExecutor(CROWD) as crowd:
            at_once = self.statuses_of(crowd.map, "at-once@example.com")
        expected = {404: GUESSES_LET_IN, 429: CROWD - GUESSES_LET_IN}
        report("Guesses at three servers", in_turn=dict(in_turn), at_once=dict(at_once))
        self.assertEqual((in_turn, at_once), (expected, expected))

    def statuses_of(
        self, each: Callable[[Callable[[int], int], range], Iterable[int]], email: str
    ) -> Counter[int]:
        """Guess a password so often, through nginx; return how often each status came."""
        return Counter(each(lambda _: self.together.login(email).status, range(CROWD)))
