"""The metrics and the access to them, in one process."""

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest import mock

import time_machine
from sqlalchemy.exc import OperationalError

from project.accounts import lifecycle, sessions
from project.accounts.actors import COMMAND
from project.accounts.audit import Event
from project.accounts.sessions import tokens
from project.accounts.signing_keys import source
from project.extensions import autocommit, db, get_component, transaction
from project.http.request_counter import RequestCounter
from project.models import User
from project.security import digests
from project.serving.hashing_pool import HashingPool
from project.tests.base import BaseTestCase, empty_tables
from project.tests.support import databases
from project.tests.support.contract import INVALID_SERVICE_TOKEN, MISSING_TOKEN
from project.tests.support.scraping import DIGEST, TOKEN, Scrape, request_metrics, scrape
from project.tests.utils import InProcess, add_user

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class CountingCase(BaseTestCase):
    """Each test has its own app, whose counters start at zero."""

    def setUp(self) -> None:
        super().setUp()
        self.start()

    def start(self, **overrides: object) -> None:
        """Start an app that counts."""
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        self.app = databases.bare_app(url, METRICS_TOKEN=DIGEST, **overrides)
        self.caller = InProcess(self.app.test_client())
        self.addCleanup(self.dispose)

    def dispose(self) -> None:
        """Close the app's connections."""
        with self.app.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()

    def scrape(self) -> Scrape:
        """Return the current metrics."""
        return scrape(self.caller)


class TestAccess(CountingCase):
    """Prometheus alone, and only where it is asked for."""

    def test_it_takes_a_token(self) -> None:
        self.assertEqual(request_metrics(self.caller).status, 200)
        self.assert_error(request_metrics(self.caller, None), 401, MISSING_TOKEN, "token_missing")
        user = self.add_token(self.add_user(admin=True))
        for token in ("x", TOKEN.upper(), DIGEST, user):
            self.assert_error(
                request_metrics(self.caller, token),
                401,
                INVALID_SERVICE_TOKEN,
                "service_token_invalid",
            )

    def test_a_token_of_a_service_is_not_one_for_it(self) -> None:
        self.start(SERVICE_TOKENS=digests.sha256("of a service"))
        introspected = self.caller.post("/auth/introspect", {"token": "x"}, TOKEN)
        for reply in (request_metrics(self.caller, "of a service"), introspected):
            self.assert_error(reply, 401, INVALID_SERVICE_TOKEN, "service_token_invalid")

    def test_without_a_token_there_is_nothing(self) -> None:
        caller = InProcess(databases.shared_app().test_client())
        for method in ("GET", "POST", "OPTIONS"):
            replies = [caller.call(method, path, token=TOKEN) for path in ("/metrics", "/nothing")]
            self.assertEqual([reply.status for reply in replies], [404, 404])
            self.assertEqual(replies[0].raw, replies[1].raw)

    def test_it_is_in_the_format_that_it_says(self) -> None:
        reply = request_metrics(self.caller)
        kind = "text/plain; version=0.0.4; charset=utf-8"
        self.assertEqual(reply.headers["Content-Type"], kind)
        self.assertEqual(reply.headers["Cache-Control"], "no-store")

    def test_it_is_in_the_document_where_it_is_served(self) -> None:
        operation = self.caller.get("/openapi.json").body["paths"]["/metrics"]["get"]
        self.assertEqual(operation["security"], [{"service_token": []}])
        self.assertIn("text/plain", operation["responses"]["200"]["content"])

    def test_no_page_of_another_origin_may_read_it(self) -> None:
        origin = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
        for method in ("GET", "OPTIONS"):
            reply = self.caller.call(method, "/metrics", token=TOKEN, **origin)
            self.assertNotIn("Access-Control-Allow-Origin", reply.headers)
        other = self.caller.call("OPTIONS", "/metricsx", **origin)
        self.assertEqual(other.headers["Access-Control-Allow-Origin"], "*")


class TestRequests(CountingCase):
    """By route, method and status."""

    def counted(self, route: str, method: str, status: int) -> float:
        """Return how many requests of a kind were counted."""
        kind = {"route": route, "method": method, "status": str(status)}
        return self.scrape().value("users_request_seconds_count", **kind)

    def test_every_request_is_counted_under_its_route(self) -> None:
        token = self.add_token(self.add_user(admin=True))
        for user_id in (1, 2, 3):
            self.caller.get(f"/users/{user_id + 10_000}", token)
        self.caller.get("/users/1")
        self.assertEqual(self.counted("/users/<user_id>", "GET", 404), 3)
        self.assertEqual(self.counted("/users/<user_id>", "GET", 401), 1)

    def test_what_was_never_there_is_one_series(self) -> None:
        before = len([*self.scrape().samples()])
        for number in range(30):
            self.caller.get(f"/{number}")
            self.caller.call(f"BREW{number}", f"/ping/{number}")
            self.caller.call(f"BREW{number}", "/ping")
        self.assertEqual(self.counted("unmatched", "GET", 404), 30)
        self.assertEqual(self.counted("unmatched", "other", 404), 30)
        self.assertEqual(self.counted("unmatched", "other", 405), 30)
        kinds = 4  # those three, and the scrapes themselves
        self.assertLess(len([*self.scrape().samples()]) - before, (kinds + 1) * 14)

    def test_durations_are_exported(self) -> None:
        self.caller.get("/ping")
        scraped = self.scrape()
        self.assertEqual(scraped.value("users_request_seconds_bucket", route="/ping", le="5.0"), 1)
        self.assertGreater(scraped.value("users_request_seconds_sum", route="/ping"), 0)

    def test_a_fault_of_ours_is_counted(self) -> None:
        with mock.patch.object(sessions, "identify", side_effect=ZeroDivisionError):
            self.caller.status("x")
        self.assertEqual(self.counted("/auth/status", "GET", 500), 1)
        self.assertEqual(self.scrape().value("users_errors_total", code="internal_error"), 1)

    def test_no_label_holds_anything_of_anybody(self) -> None:
        self.add_user()
        self.caller.login()
        self.caller.register("ada", "ada@example.com")
        self.caller.get("/users/ada@example.com?q=ada", "ada")
        said = request_metrics(self.caller).raw.decode()
        for secret in ("ada", "michael", "example.com", "127.0.0.1", TOKEN, DIGEST):
            self.assertNotIn(secret, said)


class TestOutcomes(CountingCase):
    """Counters of outcomes."""

    def test_logins_by_outcome(self) -> None:
        self.start(THROTTLE_ACCOUNT_NETWORK="2/15m")
        self.add_user()
        self.caller.login()
        for _ in range(4):
            self.caller.login(password="wrong")
        self.caller.post("/auth/login", {})
        self.caller.call("OPTIONS", "/auth/login")
        scraped = self.scrape()
        outcomes = {"succeeded": 1, "failed": 2, "throttled": 2, "invalid": 1, "unavailable": 0}
        for outcome, number in outcomes.items():
            self.assertEqual(scraped.value("users_logins_total", outcome=outcome), number, outcome)
        self.assertEqual(scraped.value("users_throttled_total", policy="account-network"), 2)
        self.assertEqual(scraped.value("users_errors_total", code="invalid_credentials"), 2)

    def test_registrations_by_outcome(self) -> None:
        self.start(THROTTLE_REGISTRATION="2/15m")
        for _ in range(3):
            self.caller.register()
        scraped = self.scrape()
        for outcome in ("succeeded", "taken", "throttled"):
            self.assertEqual(
                scraped.value("users_registrations_total", outcome=outcome), 1, outcome
            )
        self.assertEqual(scraped.value("users_registrations_total"), 3)

    def test_a_refresh_token_that_was_used_twice(self) -> None:
        first = self.caller.register().body["refresh_token"]
        second = self.caller.post("/auth/refresh", {"refresh_token": first}).body["refresh_token"]
        self.caller.post("/auth/refresh", {"refresh_token": second})
        self.caller.post("/auth/refresh", {"refresh_token": first})
        scraped = self.scrape()
        self.assertEqual(scraped.value("users_errors_total", code="refresh_reused"), 1)
        self.assertEqual(scraped.value("users_sessions_ended_total"), 1)


class TestSessions(CountingCase):
    """As they were committed."""

    def test_each_that_starts_and_each_that_ends(self) -> None:
        self.add_user()
        tokens = [self.caller.login().body["auth_token"] for _ in range(4)]
        self.caller.logout(tokens[0])
        self.caller.post("/auth/logout", {"scope": "all"}, tokens[1])
        self.caller.login()
        scraped = self.scrape()
        self.assertEqual(scraped.value("users_sessions_started_total"), 5)
        self.assertEqual(scraped.value("users_sessions_ended_total"), 4)
        self.assertEqual(scraped.value("users_open_sessions"), 1)

    def test_those_of_an_inactive_user_and_those_above_the_cap(self) -> None:
        self.start(MAX_SESSIONS_PER_USER=2)
        self.add_user()
        for _ in range(3):
            self.caller.login()
        scraped = self.scrape()
        self.assertEqual(scraped.value("users_sessions_ended_total"), 1)
        self.add_user("ada", "ada@example.com", active=False)
        self.caller.login("ada@example.com")
        scraped = self.scrape()
        self.assertEqual(scraped.value("users_sessions_started_total"), 4)
        self.assertEqual(scraped.value("users_sessions_ended_total"), 2)

    def test_a_deactivation_counts_what_it_ends(self) -> None:
        self.add_user()
        self.caller.login()
        with self.app.app_context():
            lifecycle.deactivate("michael@example.com")
        self.assertEqual(self.scrape().value("users_sessions_ended_total"), 1)

    def test_what_is_not_committed_is_not_counted(self) -> None:
        with mock.patch.object(tokens, "issue", side_effect=ZeroDivisionError):
            self.assertEqual(self.caller.register().status, 500)
        self.assertEqual(self.scrape().value("users_sessions_started_total"), 0)

    def test_what_was_taken_back_before_a_commit_is_not_counted(self) -> None:
        user_id = self.add_user()
        with self.app.test_request_context():
            start = partial(sessions.start, user_id, COMMAND, Event.LOGIN_SUCCEEDED)
            key = source.current().signing_key()
            with suppress(ZeroDivisionError), transaction():
                start(key)
                raise ZeroDivisionError
            with transaction():
                start(key)
        self.assertEqual(self.scrape().value("users_sessions_started_total"), 1)

    def test_the_open_ones_are_counted_once_a_minute(self) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            self.assertEqual(self.scrape().value("users_open_sessions"), 0)
            self.add_token(self.add_user(), age=timedelta(minutes=1))
            self.add_token(self.add_user("ada", "ada@example.com"), age=timedelta(hours=1))
            self.assertEqual(self.scrape().value("users_open_sessions"), 0)
            clock.shift(timedelta(minutes=1))
            self.assertEqual(self.scrape().value("users_open_sessions"), 1)

    def test_while_the_database_is_away_the_rest_is_told(self) -> None:
        outage = OperationalError("SELECT", {}, Exception("away"))
        with (
            mock.patch.object(sessions, "count_open", side_effect=outage),
            self.assertLogs("project.api.metrics", "WARNING"),
        ):
            scraped = self.scrape()
        names = {family.name for family in scraped.families}
        self.assertNotIn("users_open_sessions", names)
        self.assertIn("users_build_info", names)


class TestGauges(CountingCase):
    """The current values."""

    def test_passwords_that_wait_and_are_hashed(self) -> None:
        self.start(HASH_THREADS=1)
        pool = get_component(HashingPool, self.app)
        begun, end = threading.Event(), threading.Event()

        def hash_slowly() -> None:
            begun.set()
            end.wait(30)

        callers = [threading.Thread(target=pool.run, args=(hash_slowly,)) for _ in range(3)]
        for caller in callers:
            caller.start()
        begun.wait(30)
        while pool._threads._work_queue.qsize() < 2:
            begun.wait(0)
        scraped = self.scrape()
        end.set()
        for caller in callers:
            caller.join()
        self.assertEqual(scraped.value("users_hashing_active"), 1)
        self.assertEqual(scraped.value("users_hashing_queued"), 2)
        self.assertEqual(scraped.value("users_hashing_threads"), 1)
        after = self.scrape()
        self.assertEqual(after.value("users_hashing_active"), 0)
        self.assertEqual(after.value("users_hashing_queued"), 0)
        self.assertEqual(after.value("users_hashing_seconds_count"), 3)

    def test_a_password_that_cannot_be_hashed_is_not_hashed_for_ever(self) -> None:
        pool = get_component(HashingPool, self.app)
        with self.assertRaises(ZeroDivisionError):
            pool.run(lambda: 1 // 0)
        self.assertEqual(self.scrape().value("users_hashing_active"), 0)

    def test_connections_in_use_by_engine(self) -> None:
        with self.app.app_context():
            db.session.get(User, 1)
            scraped = self.scrape()
        self.assertEqual(scraped.value("users_database_connections", engine="transaction"), 1)
        self.assertEqual(scraped.value("users_database_connections", engine="autocommit"), 0)
        self.assertEqual(scraped.value("users_database_pool_size"), 10)
        self.assertEqual(self.scrape().value("users_database_connections"), 0)


class TestNotCounting(BaseTestCase):
    """Without METRICS_TOKEN."""

    def test_nothing_is_counted(self) -> None:
        with self.app.app_context():
            empty_tables()
            add_user()
        self.assertEqual(self.caller.login().status, 200)
        self.assertNotIn("metrics", self.app.extensions)
        self.assertNotIsInstance(self.app.wsgi_app, RequestCounter)
