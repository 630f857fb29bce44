"""The throttle: it limits guesses and still admits the owner."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar
from unittest import mock

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from project.accounts import audit, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.throttle import policies
from project.accounts.throttle.policies import Subjects
from project.errors import Overloaded
from project.extensions import db
from project.models import Throttle, User
from project.security.rate_limit import Limit
from project.tests import utils
from project.tests.base import BaseTestCase
from project.tests.support import databases, servers
from project.tests.support.throttling import MICHAEL, WAIT, WINDOW, ThrottleCase
from project.tests.utils import PASSWORD, InProcess, OverHTTP, Reply

CROWD = 50
BYTES_A_ROW = {"throttle": 320, "sessions": 660, "audit_events": 630, "users": 750}
"""On PostgreSQL, indexes included, with a user agent of 200 ASCII characters."""


class TestThrottledLogin(ThrottleCase):
    """Of one network at one account."""

    def test_a_login_interrupted_by_an_outage_is_not_counted(self) -> None:
        outage = OperationalError("INSERT", {}, Exception("server closed the connection"))
        with mock.patch.object(sessions, "start", side_effect=outage):
            for _ in range(5):
                self.assertEqual(self.caller.login(MICHAEL, PASSWORD).status, 503)
        self.assertEqual(self.guess_until_limited(self.caller), 3)

    def test_a_wrong_password_before_an_outage_is_counted(self) -> None:
        outage = OperationalError("INSERT", {}, Exception("server closed the connection"))
        with mock.patch.object(audit, "record", side_effect=outage):
            for _ in range(3):
                self.assertEqual(self.guess(self.caller), 503)
        self.assertEqual(self.guess(self.caller), 429)

    def test_the_fourth_guess_is_limited(self) -> None:
        self.assertEqual(self.guess_until_limited(self.caller), 3)
        self.assert_limited(self.caller.login(), WAIT, "account-network")

    def test_unknown_addresses_are_limited_like_known_ones(self) -> None:
        known, unknown = self.at("192.0.2.1"), self.at("192.0.2.2")
        nobody = "nobody@example.com"
        self.assertEqual(self.guess_until_limited(known), 3)
        self.assertEqual(self.guess_until_limited(unknown, nobody), 3)
        self.assertEqual(known.login().raw, unknown.login(nobody).raw)

    def test_the_spelling_of_an_address_makes_no_difference(self) -> None:
        for spelling in (MICHAEL, MICHAEL.upper(), "ｍichael@example.com"):
            self.assertEqual(self.guess(self.caller, spelling), 404)
        self.assertEqual(self.guess(self.caller), 429)

    def test_a_very_long_address_is_limited_too(self) -> None:
        email = "x" * 10_000
        self.assertEqual(self.guess_until_limited(self.caller, email), 3)
        self.assertEqual(self.guess(self.caller, email + "y"), 404)

    def test_backoff_doubles_up_to_its_maximum(self) -> None:
        self.guess_until_limited(self.caller)
        for wait in (*(WAIT * 2**number for number in range(7)), *[timedelta(hours=1)] * 3):
            self.assert_limited(self.caller.login(), wait, "account-network")
            self.clock.shift(wait - timedelta(seconds=1))
            self.assertEqual(self.guess(self.caller), 429)
            self.clock.shift(timedelta(seconds=1))
            self.assertEqual(self.guess(self.caller), 404)
        self.clock.shift(timedelta(hours=1))
        self.assertEqual(self.caller.login().status, 200)

    def test_rejected_attempts_do_not_extend_the_backoff(self) -> None:
        self.guess_until_limited(self.caller)
        for _ in range(20):
            self.assertEqual(self.guess(self.caller), 429)
        self.assert_limited(self.caller.login(), WAIT, "account-network")

    def test_failures_expire_with_the_window(self) -> None:
        self.guess(self.caller)
        self.guess(self.caller)
        self.clock.shift(WINDOW)
        self.assertEqual(self.guess_until_limited(self.caller), 3)

    def test_failures_expire_later_after_a_backoff(self) -> None:
        self.caller.login()  # so that the account's own limit does not count
        self.guess_until_limited(self.caller)
        self.clock.shift(WINDOW)
        self.assertEqual(self.guess_until_limited(self.caller), 1)
        self.clock.shift(WAIT * 2 + WINDOW)
        self.assertEqual(self.guess_until_limited(self.caller), 3)

    def test_a_successful_login_refunds_its_backoff(self) -> None:
        for number in range(8):
            self.guess(self.caller, f"user{number}@example.com")
        self.clock.shift(WAIT)
        for _ in range(5):
            self.assertEqual(self.caller.login().status, 200)
        self.assertEqual(self.guess(self.caller, "user9@example.com"), 404)
        self.assert_limited(self.caller.login(), WAIT * 2, "network")

    def test_a_successful_login_clears_only_its_network(self) -> None:
        owner, other = self.at("192.0.2.1"), self.at("192.0.2.2")
        for caller in (owner, other):
            self.guess(caller)
            self.guess(caller)
        self.assertEqual(owner.login().status, 200)
        self.assertEqual(self.guess_until_limited(owner), 3)
        self.assertEqual(self.guess_until_limited(other), 1)

    def test_successful_logins_are_not_counted(self) -> None:
        for _ in range(30):
            self.assertEqual(self.caller.login().status, 200)

    def test_status_is_never_throttled(self) -> None:
        token = self.caller.login().body["auth_token"]
        self.guess_until_limited(self.caller)
        for _ in range(30):
            self.assertEqual(self.caller.status(token).status, 200)

    def test_a_network_of_ipv6_is_one_client(self) -> None:
        for number in range(3):
            self.assertEqual(self.guess(self.at(f"2001:db8::{number + 1}")), 404)
        self.assertEqual(self.guess(self.at("2001:db8::ffff")), 429)
        self.assertEqual(self.guess(self.at("2001:db8:0:1::1")), 404)

    def test_ipv4_in_another_spelling_is_one_client(self) -> None:
        for _ in range(3):
            self.assertEqual(self.guess(self.at("::ffff:192.0.2.1")), 404)
        self.assertEqual(self.guess(self.at("192.0.2.1")), 429)

    def test_an_invented_forwarding_header_changes_nothing(self) -> None:
        statuses = [
            self.caller.call(
                "POST",
                "/auth/login",
                {"email": MICHAEL, "password": "wrong"},
                **{"X-Forwarded-For": f"198.51.100.{number}"},
            ).status
            for number in range(5)
        ]
        self.assertEqual(statuses, [404, 404, 404, 429, 429])

    def test_a_disabled_throttle_limits_nothing(self) -> None:
        self.caller = InProcess(databases.shared_app(THROTTLE_ENABLED=False).test_client())
        for _ in range(20):
            self.assertEqual(self.guess(self.caller), 404)
        for number in range(10):
            reply = self.caller.register(f"user{number}", f"user{number}@example.com")
            self.assertEqual(reply.status, 201)


@pytest.mark.slow
class TestOtherLimits(ThrottleCase):
    """Of one network at all accounts, of all networks at one account, of registrations."""

    def test_failures_of_one_network_are_limited_over_all_accounts(self) -> None:
        tried = [self.guess(self.caller, f"user{number}@example.com") for number in range(12)]
        self.assertEqual(tried, [404] * 8 + [429] * 4)
        self.assert_limited(self.caller.login(), WAIT, "network")
        self.assertEqual(self.at("192.0.2.9").login().status, 200)

    def test_an_attempt_rejected_by_one_limit_is_not_counted_by_another(self) -> None:
        for number in range(12):
            self.guess(self.caller, f"user{number}@example.com")
        self.assertEqual(self.guess_until_limited(self.at("192.0.2.9"), "user11@example.com"), 3)

    def test_many_networks_cannot_lock_out_the_owner(self) -> None:
        home = self.at("192.0.2.1")
        self.assertEqual(home.login().status, 200)
        tried = [self.guess(self.at(f"198.51.100.{number}")) for number in range(9)]
        self.assertEqual(tried, [404] * 6 + [429] * 3)
        self.assert_limited(self.at("192.0.2.2").login(), WAIT, "account")
        for _ in range(5):
            self.assertEqual(home.login().status, 200)
        self.assertEqual(self.guess_until_limited(home), 3)

    def test_a_registration_makes_its_network_known(self) -> None:
        home = self.at("192.0.2.1")
        home.register("ada", "ada@example.com", PASSWORD)
        for number in range(9):
            self.guess(self.at(f"198.51.100.{number}"), "ada@example.com")
        self.assertEqual(home.login("ada@example.com").status, 200)

    def test_many_networks_are_limited_alike_at_an_unknown_account(self) -> None:
        nobody = "nobody@example.com"
        tried = [self.guess(self.at(f"198.51.100.{number}"), nobody) for number in range(9)]
        self.assertEqual(tried, [404] * 6 + [429] * 3)

    def test_registrations_of_one_network_are_limited(self) -> None:
        replies = [
            self.caller.register(f"user{number}", f"user{number}@example.com")
            for number in range(6)
        ]
        self.assertEqual([reply.status for reply in replies], [201] * 4 + [429] * 2)
        self.assert_limited(replies[-1], WAIT, "registration")
        self.assertEqual(self.count(User), 5)
        self.clock.shift(WAIT)
        self.assertEqual(self.caller.register().status, 201)

    def test_invalid_payloads_are_not_counted(self) -> None:
        for _ in range(9):
            self.assertEqual(self.caller.post("/auth/login", {"email": MICHAEL}).status, 400)
            self.assertEqual(self.caller.register(password="").status, 400)
        self.assertEqual(self.guess_until_limited(self.caller), 3)
        self.assertEqual(self.caller.register().status, 201)

    def test_wider_ipv6_networks_have_higher_limits(self) -> None:
        tried = [
            self.guess(self.at(f"2001:db8:1:{subnet:x}::1"), f"user{subnet}-{number}@example.com")
            for subnet in range(4)
            for number in range(5)
        ]
        self.assertEqual(tried, [404] * 12 + [429] * 8)
        reply = self.at("2001:db8:1:99::1").login()
        self.assert_limited(reply, WAIT, "network-56")
        self.assertEqual(self.at("2001:db8:1:100::1").login().status, 200)

    def test_logins_of_one_site_are_limited_whether_they_succeed_or_not(self) -> None:
        app = databases.shared_app(THROTTLE_LOGINS=Limit(5, WINDOW))
        self.caller = InProcess(app.test_client())
        callers = [self.at(f"2001:db8:1:{number:x}00::1") for number in range(7)]
        statuses = [caller.login().status for caller in callers]
        self.assertEqual(statuses, [200] * 5 + [429] * 2)
        self.clock.shift(timedelta(minutes=5))
        self.assert_limited(callers[0].login(), WINDOW - timedelta(minutes=5), "login")
        self.assertEqual(self.at("2001:db8:2::1").login().status, 200)
        self.clock.shift(timedelta(minutes=10))
        self.assertEqual(callers[0].login().status, 200)

    def test_registrations_of_an_ipv6_site_are_limited(self) -> None:
        statuses = [
            self.at(f"2001:db8:1:{number:x}::1").register(f"u{number}", f"u{number}@x.com").status
            for number in range(8)
        ]
        self.assertEqual(statuses, [201] * 6 + [429] * 2)

    def test_a_registration_is_counted_before_its_password_is_checked(self) -> None:
        app = databases.shared_app(**self.overrides, PASSWORD_POLICY=True)
        self.caller = InProcess(app.test_client())
        statuses = [self.caller.register(password="password").status for _ in range(6)]
        self.assertEqual(statuses, [400] * 4 + [429] * 2)

    def test_a_limit_can_be_one(self) -> None:
        app = databases.shared_app(THROTTLE_ACCOUNT_NETWORK=Limit(1, WINDOW))
        self.assertEqual(self.guess_until_limited(InProcess(app.test_client())), 1)

    def test_the_defaults_allow_a_dozen_registrations_a_minute(self) -> None:
        self.caller = InProcess(databases.shared_app().test_client())
        for minute in range(16):
            for number in range(12):
                name = f"user{minute}-{number}"
                self.assertEqual(self.caller.register(name, f"{name}@example.com").status, 201)
                self.assertEqual(self.guess(self.caller, f"{name}@example.com"), 404)
            self.clock.shift(timedelta(minutes=1))


class TestRows(ThrottleCase):
    """Rejected and refunded attempts leave no rows."""

    def rows(self) -> int:
        """Return how many rows the throttle has."""
        with self.app.app_context():
            return len(db.session.scalars(select(Throttle.count)).all())

    def test_a_blocked_network_inserts_no_rows(self) -> None:
        for number in range(8):
            self.guess(self.caller, f"user{number}@example.com")
        before = self.rows()
        for number in range(50):
            self.assertEqual(self.guess(self.caller, f"random{number}@example.com"), 429)
        self.assertEqual(self.rows(), before)

    def test_attempts_at_a_blocked_account_insert_no_rows(self) -> None:
        for number in range(6):
            self.guess(self.at(f"198.51.100.{number}"))
        before = self.rows()
        for number in range(50):
            self.assertEqual(self.guess(self.at(f"203.0.113.{number}")), 429)
        self.assertEqual(self.rows(), before)

    def test_a_successful_login_leaves_only_the_login_counter(self) -> None:
        self.caller.login()
        with self.app.app_context():
            self.assertEqual([row.scope for row in throttle.list_counts()], ["login"])

    def test_an_outage_leaves_no_row(self) -> None:
        with mock.patch.object(User, "check_password", side_effect=Overloaded):
            self.assertEqual(self.caller.login().status, 503)
            self.assertEqual(self.guess(self.caller, "nobody@example.com"), 503)
        self.assertEqual(self.rows(), 0)

    def test_parallel_refunds_leave_no_row(self) -> None:
        subjects = Subjects(Actor("192.0.2.1", ""), email_key=MICHAEL)
        with (
            self.app.app_context(),
            suppress(Overloaded),
            throttle.attempt(policies.LOGIN_BY_NETWORK, subjects=subjects),
            suppress(Overloaded),
            throttle.attempt(policies.LOGIN_BY_NETWORK, subjects=subjects),
            suppress(Overloaded),
            throttle.attempt(policies.LOGIN_BY_NETWORK, subjects=subjects),
        ):
            raise Overloaded
        self.assertEqual(self.rows(), 6 - 2)

    def test_a_day_at_the_limits_is_less_than_a_hundred_megabytes_of_each_table(self) -> None:
        with databases.bare_app("sqlite:////tmp/never.sqlite").app_context():
            logins = a_day(policies.LOGIN.limit)
            failures = min(a_day(policies.NETWORK_56.limit), logins)
            registrations = a_day(policies.REGISTRATION_48.limit)
        rows = {
            "throttle": 2 * failures,
            "sessions": logins + registrations,
            "audit_events": 2 * logins + registrations,
            "users": registrations,
        }
        for table, number in rows.items():
            self.assertLess(number * BYTES_A_ROW[table], 100e6, table)


def a_day(limit: Limit) -> int:
    """Return how many attempts a limit admits in a day: its quota again in every window."""
    return limit.quota * (timedelta(days=1) // limit.window)


class TestWrites(ThrottleCase):
    """Of one account, whatever network it is used from."""

    overrides: ClassVar[dict[str, object]] = {"THROTTLE_WRITES": Limit(3, WINDOW)}

    def setUp(self) -> None:
        super().setUp()
        self.token = self.caller.login().body["auth_token"]

    def end_others(self, token: str) -> Reply:
        """End the user's other sessions."""
        return self.caller.post("/auth/logout", {"scope": "others"}, token)

    def test_the_fourth_write_is_limited(self) -> None:
        self.assertEqual([self.end_others(self.token).status for _ in range(3)], [200] * 3)
        self.assert_limited(self.end_others(self.token), WINDOW, "write")
        session = self.caller.get("/auth/sessions", self.token).body["data"]["sessions"][0]["id"]
        ended = self.caller.call("DELETE", f"/auth/sessions/{session}", token=self.token)
        self.assertEqual(ended.status, 429)
        self.assertEqual(self.caller.post("/auth/logout", {"scope": "all"}, self.token).status, 429)
        self.assertEqual(self.caller.status(self.token).status, 200)
        self.assertEqual(self.caller.post("/auth/logout", {}, self.token).status, 200)

    def test_refreshes_that_write_count(self) -> None:
        used = refresh_token = self.caller.login().body["refresh_token"]
        for _ in range(3):
            used = refresh_token
            reply = self.caller.post("/auth/refresh", {"refresh_token": used})
            refresh_token = reply.body["refresh_token"]
        self.assertEqual(self.caller.post("/auth/refresh", {"refresh_token": used}).status, 200)
        limited = self.caller.post("/auth/refresh", {"refresh_token": refresh_token})
        self.assert_limited(limited, WINDOW, "write")
        self.clock.shift(WINDOW)
        again = self.caller.post("/auth/refresh", {"refresh_token": refresh_token})
        self.assertEqual(again.status, 200)

    def test_writes_of_other_users_are_not_limited(self) -> None:
        other = self.add_token(self.add_user("ada", "ada@example.com"))
        for _ in range(4):
            self.end_others(self.token)
        self.assertEqual(self.end_others(other).status, 200)


class TestClearing(ThrottleCase):
    """The commands of an operator."""

    def test_counts_are_listed_and_cleared_by_name(self) -> None:
        self.guess(self.at("192.0.2.1"))
        self.guess(self.at("192.0.2.2"), "nobody@example.com")
        with self.app.app_context():
            listed = [(row.scope, row.subject, row.count) for row in throttle.list_counts()]
            michael = policies.digest(MICHAEL)
            self.assertIn(("account-network", f"{michael} 192.0.2.1", 1), listed)
            self.assertIn(("network", "192.0.2.2", 1), listed)
            self.assertEqual(len(listed), 8)
            self.assertEqual([row.count for row in throttle.list_counts(MICHAEL)], [1, 1])
            self.assertEqual(throttle.clear("::ffff:192.0.2.1"), 3)
            self.assertEqual(throttle.clear(MICHAEL.upper()), 1)
            self.assertEqual(throttle.clear("%"), 0)
            self.assertEqual(throttle.clear(), 4)
            self.assertEqual(list(throttle.list_counts()), [])

    def test_expired_counters_are_not_listed(self) -> None:
        self.guess(self.caller)
        self.clock.shift(timedelta(days=1))
        with self.app.app_context():
            self.assertEqual(list(throttle.list_counts()), [])
            self.assertEqual(len(db.session.scalars(select(Throttle)).all()), 4)

    def test_wider_networks_and_devices_are_cleared_by_name_too(self) -> None:
        token = self.at("2001:db8:1:2::3").login().body["device_token"]
        self.guess(self.at("2001:db8:1:2::3"))
        wrong = {"email": MICHAEL, "password": "wrong", "device_token": token}
        self.caller.post("/auth/login", wrong)
        with self.app.app_context():
            scopes = {row.scope for row in throttle.list_counts("2001:db8:1:2::4")}
            self.assertEqual(scopes, {"account-network", "login", "network", "network-56"})
            self.assertEqual(throttle.clear("2001:db8:1:2::4"), 4)
            scopes = {row.scope for row in throttle.list_counts(MICHAEL)}
            self.assertEqual(scopes, {"device", "device-login"})
            self.assertEqual(throttle.clear(MICHAEL), 2)

    def test_typed_addresses_are_not_stored(self) -> None:
        for typed in (MICHAEL, "hunter2hunter2"):
            self.guess(self.caller, typed)
        with self.app.app_context():
            kept = str([list(row) for row in throttle.list_counts()])
        self.assertNotIn("michael", kept)
        self.assertNotIn("hunter2", kept)


@pytest.mark.processes
class TestGuessesAtOnce(BaseTestCase):
    """Four worker processes, and many guesses at the same time."""

    def test_parallel_guesses_stay_within_the_limit(self) -> None:
        url = databases.new_database()
        self.app = databases.new_app(url)
        self.add_user()
        # Under load one worker may hash for all of them, and one network gets half of its places.
        environment = servers.environment(url, TRUSTED_PROXIES="127.0.0.1", HASH_QUEUE="100")
        server, _ = self.enterContext(servers.started("granian", environment, workers=4))
        self.caller = OverHTTP(server)
        self.assertEqual(self.login_from("192.0.2.1", utils.PASSWORD), 200)
        with ThreadPoolExecutor(CROWD) as crowd:
            statuses = list(
                crowd.map(lambda _: self.login_from("192.0.2.66", "wrong"), range(CROWD))
            )
        self.assertEqual(sorted(statuses), [404] * 5 + [429] * (CROWD - 5))
        self.assertEqual(self.login_from("192.0.2.66", utils.PASSWORD), 429)
        self.assertEqual(self.login_from("192.0.2.1", utils.PASSWORD), 200)

    def login_from(self, address: str, password: str) -> int:
        """Log in through a proxy that forwards this address; return the status."""
        payload = {"email": MICHAEL, "password": password}
        reply = self.caller.call("POST", "/auth/login", payload, **{"X-Forwarded-For": address})
        return reply.status
