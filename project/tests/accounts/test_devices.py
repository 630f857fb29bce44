"""Device tokens: the owner gets in, whatever others do; and a token is good for nothing else."""

import base64
from datetime import timedelta
from unittest import TestCase

import pytest

from project.accounts import devices
from project.clock import utcnow
from project.models import User
from project.security import device_tokens
from project.security.device_tokens import Device
from project.security.rate_limit import Limit
from project.tests.support import databases
from project.tests.support.throttling import MICHAEL, WAIT, WINDOW, ThrottleCase
from project.tests.utils import PASSWORD, Caller, InProcess, Reply

SECRET = databases.SECRET_KEY
NOWHERE = "sqlite:////tmp/never.sqlite"
OTHER_SECRET = "fedcba9876543210" * 4


class DeviceCase(ThrottleCase):
    """An owner whose device has a token."""

    def setUp(self) -> None:
        super().setUp()
        self.home, self.elsewhere = self.at("192.0.2.1"), self.at("198.51.100.7")
        self.thief = self.at("198.51.100.66")
        self.token: str = self.home.login().body["device_token"]

    def login(
        self, caller: Caller, token: object, password: str = PASSWORD, email: str = MICHAEL
    ) -> Reply:
        """Log in with a device token."""
        payload = {"email": email, "password": password, "device_token": token}
        return caller.post("/auth/login", payload)

    def use_up(self) -> None:
        """Use up the account's limit, and its network's at home."""
        self.guess_until_limited(self.home)
        for number in range(9):
            self.guess(self.at(f"203.0.113.{number}"))


class TestDevices(DeviceCase):
    """Counted under the token alone."""

    def test_registration_and_login_return_a_device_token(self) -> None:
        registered = self.caller.register().body["device_token"]
        for token in (registered, self.token):
            self.assertRegex(token, r"^dt_[A-Za-z0-9_-]{108}$")

    def test_the_owner_can_log_in_after_others_used_up_the_limits(self) -> None:
        self.use_up()
        self.assertEqual(self.home.login().status, 429)
        self.assertEqual(self.elsewhere.login().status, 429)
        for caller in (self.home, self.elsewhere):
            for _ in range(5):
                reply = self.login(caller, self.token)
                self.assertEqual(reply.status, 200)
                self.token = reply.body["device_token"]
        self.assertEqual(self.home.login().status, 429)

    def test_guesses_with_one_device_token_are_limited(self) -> None:
        self.use_up()
        tried = [self.login(self.elsewhere, self.token, "wrong").status for _ in range(7)]
        self.assertEqual(tried, [404] * 5 + [429] * 2)
        self.assert_limited(self.login(self.elsewhere, self.token), WAIT, "account")
        self.clock.shift(WAIT)
        self.assertEqual(self.login(self.elsewhere, self.token).status, 200)

    def test_a_login_with_an_exhausted_token_counts_as_one_without(self) -> None:
        tried = [self.login(self.elsewhere, self.token, "wrong").status for _ in range(9)]
        self.assertEqual(tried, [404] * 8 + [429])
        self.assert_limited(self.login(self.elsewhere, self.token), WAIT, "account-network")

    def test_a_renewed_token_is_the_same_device(self) -> None:
        renewed = self.login(self.elsewhere, self.token).body["device_token"]
        self.use_up()
        for token in (self.token, renewed) * 2:
            self.assertEqual(self.login(self.thief, token, "wrong").status, 404)
        tried = [self.login(self.thief, renewed, "wrong").status for _ in range(2)]
        self.assertEqual(tried, [404, 429])

    def test_a_login_clears_only_the_failures_of_its_device(self) -> None:
        other = self.home.login().body["device_token"]
        self.use_up()
        for token in (self.token, other):
            for _ in range(4):
                self.assertEqual(self.login(self.elsewhere, token, "wrong").status, 404)
        self.assertEqual(self.login(self.elsewhere, self.token).status, 200)
        tried = [self.login(self.thief, self.token, "wrong").status for _ in range(6)]
        self.assertEqual(tried, [404] * 5 + [429])
        tried = [self.login(self.thief, other, "wrong").status for _ in range(2)]
        self.assertEqual(tried, [404, 429])

    def test_the_owner_clears_the_failures_of_a_stolen_token_three_times_a_day(self) -> None:
        stolen, statuses = self.token, []
        for _ in range(6):
            statuses += [self.login(self.thief, stolen, "wrong").status for _ in range(4)]
            self.token = self.login(self.home, self.token).body["device_token"]
        # Three times 4, then 5 by the token and 3 by the thief's network.
        self.assertEqual(statuses, [404] * 20 + [429] * 4)

    def test_logins_to_one_account_with_device_tokens_are_limited(self) -> None:
        app = databases.shared_app(THROTTLE_LOGINS=Limit(3, WINDOW))
        self.caller = InProcess(app.test_client())
        statuses = [self.login(self.caller, self.token).status for _ in range(5)]
        self.assertEqual(statuses, [200] * 5)  # the last two count as those of the network
        self.assertEqual(self.guess(self.caller), 404)
        self.assert_limited(self.login(self.caller, self.token), WINDOW, "login")

    def test_a_login_with_an_invalid_token_counts_as_one_without(self) -> None:
        ada = self.home.register("ada", "ada@example.com", PASSWORD).body
        self.use_up()
        expired = device_tokens.encode(
            Device(self.user_id, b"0" * 16, utcnow() - timedelta(days=1)), SECRET
        )
        invalid = (
            None, "", "dt_", "x" * 5000, ada["device_token"], ada["auth_token"], expired,
            self.token + "A", self.token[:-1], self.token.replace("dt_", "dt-"),
        )  # fmt: skip
        for token in invalid:
            self.assertEqual(self.login(self.elsewhere, token).status, 429, token)
        self.assert_field_errors(self.login(self.elsewhere, 7), ("device_token", "wrong_type"))

    def test_a_device_token_expires_after_a_year(self) -> None:
        self.clock.shift(timedelta(days=365) - timedelta(hours=1))
        self.use_up()
        self.assertEqual(self.login(self.elsewhere, self.token).status, 200)
        self.clock.shift(timedelta(hours=1))
        self.guess(self.at("203.0.113.77"))
        self.assertEqual(self.login(self.thief, self.token).status, 429)

    def test_a_device_token_expires_with_the_password(self) -> None:
        self.use_up()
        with self.app.app_context():
            another = User.hash_password(PASSWORD)
        self.set_user(self.user_id, password=another)
        self.assertEqual(self.login(self.elsewhere, self.token).status, 429)

    def test_a_login_that_renews_the_hash_returns_a_valid_token(self) -> None:
        app = databases.shared_app(**self.overrides, BCRYPT_LOG_ROUNDS=5)
        self.token = self.login(InProcess(app.test_client()), self.token).body["device_token"]
        self.use_up()
        self.assertEqual(self.login(self.elsewhere, self.token).status, 200)

    def test_a_previous_secret_is_accepted(self) -> None:
        with databases.bare_app(NOWHERE, SECRET_KEY=SECRET).app_context():
            token = devices.issue(7, "hash")
        rotated = {"SECRET_KEY": OTHER_SECRET, "SECRET_KEY_FALLBACKS": [SECRET]}
        with databases.bare_app(NOWHERE, **rotated).app_context():
            device = devices.recognize(token, 7, "hash")
            assert device is not None
            renewed = devices.issue(7, "hash", device)
        with databases.bare_app(NOWHERE, SECRET_KEY=SECRET).app_context():
            self.assertIsNone(devices.recognize(renewed, 7, "hash"))
        with databases.bare_app(NOWHERE, SECRET_KEY=OTHER_SECRET).app_context():
            again = devices.recognize(renewed, 7, "hash")
            self.assertEqual(again and again.id, device.id)

    def test_other_routes_reject_a_device_token(self) -> None:
        self.assert_error(
            self.caller.status(self.token),
            401,
            "Invalid token. Please log in again.",
            "token_invalid",
        )
        refreshed = self.caller.post("/auth/refresh", {"refresh_token": self.token})
        self.assertEqual(refreshed.status, 401)


class TestClearings(DeviceCase):
    """A success without a token clears its network's failures a few times a day."""

    def test_an_owner_who_logs_in_often_does_not_clear_a_neighbours_guesses(self) -> None:
        statuses = []
        for _ in range(20):
            statuses += [self.guess(self.home) for _ in range(2)]
            self.login(self.home, self.token)
            self.home.login()
        self.assertLessEqual(statuses.count(404), 9)
        self.assertEqual(statuses[-1], 429)

    def test_failures_are_cleared_again_the_next_day(self) -> None:
        for _ in range(3):
            self.guess(self.home)
            self.assertEqual(self.home.login().status, 200)
        self.guess(self.home)
        self.assertEqual(self.home.login().status, 200)
        self.assertEqual(self.guess_until_limited(self.home), 2)
        self.clock.shift(timedelta(days=1))
        self.guess(self.home)
        self.assertEqual(self.home.login().status, 200)
        self.assertEqual(self.guess_until_limited(self.home), 3)


@pytest.mark.any_database
class TestTokenForm(TestCase):
    """Whole, or nothing."""

    def test_a_token_with_a_changed_bit_is_rejected(self) -> None:
        now = utcnow()
        token = device_tokens.encode(Device(7, b"f" * 16, now + timedelta(days=1)), SECRET)
        decoded = device_tokens.decode(token, [OTHER_SECRET, SECRET], now)
        assert decoded is not None
        self.assertEqual((decoded.user_id, decoded.fingerprint), (7, b"f" * 16))
        self.assertIsNone(device_tokens.decode(token, [OTHER_SECRET], now))
        self.assertIsNone(device_tokens.decode(f"{token}\n", [SECRET], now))
        raw = base64.urlsafe_b64decode(token[3:])
        for position in range(len(raw)):
            changed = bytearray(raw)
            changed[position] ^= 1
            forged = f"dt_{base64.urlsafe_b64encode(changed).decode()}"
            self.assertIsNone(device_tokens.decode(forged, [SECRET], now), position)
