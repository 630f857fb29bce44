"""Login with a code from a mail, through HTTP."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from unittest import mock

import time_machine
from sqlalchemy import select

from project.accounts import one_time_tokens
from project.clock import utcnow
from project.config import ConfigError
from project.extensions import db
from project.models import AuditEvent, KnownNetwork, OneTimeToken, Outbox, User
from project.security import one_time_codes
from project.settings.mail_parsers import NO_MAIL
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, InProcess, Reply

REQUEST = "/auth/login/code"
CONFIRM = "/auth/login/code/confirm"
EMAIL = "michael@example.com"
WRONG = "BBBB-BBBB"
CODE_INVALID = (400, "That code is wrong or has expired.", "code_invalid")
ACCEPTED = "If an account has this address, a mail is on its way."


class LoginCodeCase(MailboxCase):
    """A service with EMAIL_LOGIN on."""

    overrides: ClassVar[dict[str, object]] = {"EMAIL_LOGIN": True}

    def request(self, email: str = EMAIL) -> str:
        """Request a mail; return the request id."""
        body = self.assert_success(self.caller.post(REQUEST, {"email": email}), 202, ACCEPTED)
        self.assertEqual((body["data"]["expires_in"], body["data"]["resend_in"]), (600, 60))
        request_id: str = body["data"]["request_id"]
        return request_id

    def confirm(self, request_id: str, **proof: str) -> Reply:
        """Confirm with a code or a link's token."""
        return self.caller.post(CONFIRM, {"request_id": request_id} | proof)

    def link_token(self) -> str:
        """Return the token of the link in the newest mail."""
        return self.token_of(self.mail("email_login")["link"])

    def events(self) -> list[Any]:
        """Return the events of the audit trail with their details, oldest first."""
        with self.app.app_context():
            ordered = select(AuditEvent.event, AuditEvent.details).order_by(AuditEvent.id)
            return [tuple(row) for row in db.session.execute(ordered)]


class TestLoginCode(LoginCodeCase):
    """A login to a verified account."""

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user(email_verified_at=utcnow())

    def test_the_code_logs_in_once_and_ends_no_session(self) -> None:
        session = self.caller.login().body["auth_token"]
        proof = {"request_id": self.request(), "code": self.mail("email_login")["code"].lower()}
        body = self.assert_success(self.confirm(**proof), 200, "Successfully logged in.")
        self.assertEqual(set(body), set(self.caller.login().body))
        for token in (session, body["auth_token"]):
            self.assertEqual(self.caller.status(token).status, 200)
        self.assertIn(("login.succeeded", {"method": "email_login"}), self.events())
        self.assert_error(self.confirm(**proof), *CODE_INVALID)
        self.assertEqual(self.caller.login().status, 200)

    def test_the_device_token_is_accepted_with_a_login_by_password(self) -> None:
        proof = {"request_id": self.request(), "code": self.mail("email_login")["code"]}
        device_token = self.confirm(**proof).body["device_token"]
        for _ in range(6):
            self.caller.login(password="wrong")
        self.assertEqual(self.caller.login().status, 429)
        login = {"email": EMAIL, "password": PASSWORD, "device_token": device_token}
        self.assertEqual(self.caller.post("/auth/login", login).status, 200)

    def test_the_link_requires_the_request_id_of_its_request(self) -> None:
        mine = self.request()
        token = self.link_token()
        self.add_user("other", "other@example.com", email_verified_at=utcnow())
        theirs = self.request("other@example.com")
        for request_id in (theirs, token, "A" * 43, ""):
            self.assert_error(self.confirm(request_id, token=token), *CODE_INVALID)
        self.assert_field_errors(
            self.caller.post(CONFIRM, {"token": token}), ("request_id", "missing")
        )
        self.assert_field_errors(self.confirm(mine), ("", "proof_missing"))
        self.assertEqual(self.confirm(mine, token=token).status, 200)

    def test_only_a_login_from_a_new_network_sends_a_notice(self) -> None:
        self.confirm(self.request(), code=self.mail("email_login")["code"])
        self.caller.login()
        kinds = [mail["kind"] for mail in self.mails()]
        self.assertEqual(kinds.count("new_sign_in"), 1)

    def test_every_invalid_code_or_link_gets_the_same_error(self) -> None:
        request_id, mail = self.request(), self.mail("email_login")
        token = self.token_of(mail["link"])
        proofs: list[dict[str, str]] = [
            {"request_id": "A" * 43, "code": mail["code"]},
            {"request_id": token, "code": mail["code"]},
            {"request_id": request_id, "code": WRONG},
            {"request_id": request_id, "token": request_id},
            {"request_id": request_id, "token": token[:-1]},
            {"request_id": request_id, "token": "é" * 43},
        ]
        with mock.patch.object(User, "hash_password") as hashed:
            replies = [self.confirm(**proof) for proof in proofs]
        self.assertEqual({(reply.status, reply.raw) for reply in replies}, {(400, replies[0].raw)})
        self.assert_error(replies[0], *CODE_INVALID)
        hashed.assert_not_called()

    def test_a_login_code_expires_after_ten_minutes(self) -> None:
        request_id, mail = self.request(), self.mail("email_login")
        proofs = ({"code": mail["code"]}, {"token": self.token_of(mail["link"])})
        with time_machine.travel(utcnow() + timedelta(minutes=10), tick=False):
            for proof in proofs:
                self.assert_error(self.confirm(request_id, **proof), *CODE_INVALID)

    def test_a_code_of_another_purpose_is_rejected(self) -> None:
        reply = self.caller.post("/auth/password/reset", {"email": EMAIL})
        reset = {"request_id": reply.body["data"]["request_id"]}
        mail = self.mail("password_reset")
        self.assert_error(self.confirm(**reset, code=mail["code"]), *CODE_INVALID)
        self.assert_error(self.confirm(**reset, token=self.token_of(mail["link"])), *CODE_INVALID)

    def test_a_login_token_cannot_reset_the_password(self) -> None:
        self.request()
        payload = {"token": self.link_token(), "password": "correct horse battery staple"}
        self.assert_error(self.caller.post("/auth/password/reset/confirm", payload), *CODE_INVALID)

    def test_five_wrong_codes_invalidate_the_code_but_not_the_link(self) -> None:
        request_id, mail = self.request(), self.mail("email_login")
        for code in [WRONG] * one_time_tokens.MAX_ATTEMPTS + [mail["code"]]:
            self.assert_error(self.confirm(request_id, code=code), *CODE_INVALID)
        token = self.token_of(mail["link"])
        self.assertEqual(self.confirm(request_id, token=token).status, 200)

    def test_only_five_of_parallel_wrong_codes_are_compared(self) -> None:
        proof = {"request_id": self.request(), "code": WRONG}
        self.deliver()

        def guess(number: int) -> int:
            return InProcess(self.app.test_client()).post(CONFIRM, proof).status

        is_code = one_time_codes.is_code
        with (
            mock.patch.object(one_time_codes, "is_code", side_effect=is_code) as compared,
            ThreadPoolExecutor(8) as threads,
        ):
            statuses = set(threads.map(guess, range(16)))
        self.assertLessEqual(statuses, {400, 503})
        self.assertLessEqual(compared.call_count, one_time_tokens.MAX_ATTEMPTS)

    def test_only_one_of_parallel_confirmations_succeeds(self) -> None:
        proof = {"request_id": self.request(), "code": self.mail("email_login")["code"]}

        def confirm(number: int) -> int:
            return InProcess(self.app.test_client()).post(CONFIRM, proof).status

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(confirm, range(16)))
        self.assertEqual(statuses.count(200), 1, statuses)
        self.assertEqual([event for event, _ in self.events()].count("login.succeeded"), 1)

    def test_unknown_networks_have_twenty_attempts_a_day_for_one_address(self) -> None:
        with self.app.app_context(), mock.patch.object(one_time_codes, "is_code") as compared:
            compared.return_value = False
            for email in (EMAIL, "nobody@example.com"):
                compared.reset_mock()
                for number in range(6):
                    caller = self.app.test_client()
                    caller.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
                    data = InProcess(caller).post(REQUEST, {"email": email}).body["data"]
                    for _ in range(4):
                        self.confirm(data["request_id"], code=WRONG)
                self.assertEqual(compared.call_count, 20)


class TestAlike(LoginCodeCase):
    """Known, unknown, unverified and inactive addresses."""

    ADDRESSES = (EMAIL, "nobody@example.com", "unverified@example.com", "inactive@example.com")

    def setUp(self) -> None:
        super().setUp()
        self.add_user(email_verified_at=utcnow())
        self.add_user("unverified", "unverified@example.com")
        self.add_user("inactive", "inactive@example.com", active=False)

    def test_the_responses_are_the_same(self) -> None:
        for status in (202, 429):
            replies = [self.caller.post(REQUEST, {"email": email}) for email in self.ADDRESSES]
            shapes = {
                (reply.status, len(reply.raw), tuple(reply.headers.keys())) for reply in replies
            }
            self.assertEqual(len(shapes), 1, shapes)
            self.assertEqual(replies[0].status, status)

    def test_the_statements_are_the_same(self) -> None:
        self.request("another@example.com")  # what is cached is made
        for status in (202, 429):
            costs = [
                self.statements_of(partial(self.caller.post, REQUEST, {"email": email}), status)
                for email in self.ADDRESSES
            ]
            self.assertTrue(all(cost == costs[0] for cost in costs), costs)

    def test_an_address_without_an_active_account_gets_no_mail(self) -> None:
        for email in ("nobody@example.com", "inactive@example.com"):
            self.request(email)
            self.assertEqual(self.mails(email), [])
        with self.app.app_context():
            reasons = set(db.session.scalars(select(Outbox.reason)))
        self.assertEqual(reasons, {"no account", "inactive"})

    def test_a_code_without_an_account_confirms_nothing(self) -> None:
        request_id = self.request("nobody@example.com")
        self.deliver()
        with self.app.app_context():
            token_id = db.session.scalars(select(OneTimeToken.id)).one()
            code = one_time_tokens.DerivedTokens().code_of(token_id, "email_login")
            link = one_time_tokens.DerivedTokens().link_of(token_id, "email_login", "login")
        self.assert_error(self.confirm(request_id, code=code), *CODE_INVALID)
        self.assert_error(self.confirm(request_id, token=self.token_of(link)), *CODE_INVALID)

    def test_a_login_fails_if_the_account_is_deactivated_meanwhile(self) -> None:
        request_id, mail = self.request(), self.mail("email_login")
        with self.app.app_context():
            user = db.session.scalars(select(User).where(User.email == EMAIL)).one()
            user.active = False
            db.session.commit()
        self.assert_error(self.confirm(request_id, code=mail["code"]), *CODE_INVALID)

    def test_mail_goes_to_the_stored_address(self) -> None:
        self.request("MICHAEL@Example.com")
        self.deliver()
        sent = self.caller.get("/auth/dev/mail").body["data"]["messages"]
        self.assertEqual([mail["to"] for mail in sent], [EMAIL])


class TestClaim(LoginCodeCase):
    """The first login to an unverified account, which somebody else has registered."""

    def test_the_first_login_removes_the_access_of_an_intruder(self) -> None:
        intruder = self.caller.register("intruder", EMAIL, "intruders password").body
        verification = self.mail("email_verification")
        request_id, mail = self.request(), self.mail("email_login")
        body = self.assert_success(self.confirm(request_id, code=mail["code"]), 200, mock.ANY)
        self.assertEqual(self.caller.status(intruder["auth_token"]).status, 401)
        refresh = {"refresh_token": intruder["refresh_token"]}
        self.assertEqual(self.caller.post("/auth/refresh", refresh).status, 401)
        login = {"email": EMAIL, "password": "intruders password"}
        device = {"device_token": intruder["device_token"]}
        self.assertEqual(self.caller.post("/auth/login", login | device).status, 404)
        proof = {"token": self.token_of(verification["link"]), "password": "intruders password"}
        reply = self.caller.post("/auth/email/verification/confirm", proof)
        self.assert_error(reply, *CODE_INVALID)
        data = self.caller.status(body["auth_token"]).body["data"]
        self.assertTrue(data["email_verified"])
        kinds = [mail["kind"] for mail in self.mails()]
        self.assertEqual((kinds.count("password_changed"), kinds.count("new_sign_in")), (1, 0))
        self.assertIn(("account.claimed", {}), self.events())
        self.assertIn(("sessions.ended", {"scope": "password", "count": 1}), self.events())
        with self.app.app_context():
            self.assertEqual(db.session.scalars(select(User.password)).one(), "!")
            self.assertEqual(db.session.query(KnownNetwork).count(), 1)

    def test_a_second_login_claims_nothing(self) -> None:
        self.add_user()
        first = self.confirm(self.request(), code=self.mail("email_login")["code"]).body
        request_id = self.request()  # the claim has cleared the limits of the address
        second = self.confirm(request_id, token=self.link_token()).body
        for body in (first, second):
            self.assertEqual(self.caller.status(body["auth_token"]).status, 200)
        claimed = [event for event, _ in self.events()].count("account.claimed")
        self.assertEqual(claimed, 1)

    def test_a_rejected_confirmation_claims_nothing(self) -> None:
        session = self.caller.register("michael", EMAIL, PASSWORD).body["auth_token"]
        self.confirm(self.request(), code=WRONG)
        self.assertEqual(self.caller.status(session).status, 200)
        self.assertEqual(self.caller.login().status, 200)


class TestSetting(BaseTestCase):
    """EMAIL_LOGIN."""

    def test_login_by_code_is_off_by_default(self) -> None:
        for path in (REQUEST, CONFIRM):
            self.assert_error(self.caller.post(path, {}), 404, "Not found.", "not_found")
        self.assertFalse(self.caller.get("/auth/features").body["data"]["email_login"])

    def test_features_report_login_by_code(self) -> None:
        caller = InProcess(databases.shared_app(EMAIL_LOGIN=True).test_client())
        self.assertTrue(caller.get("/auth/features").body["data"]["email_login"])

    def test_login_by_code_requires_mail(self) -> None:
        with self.assertRaisesRegex(ConfigError, "EMAIL_LOGIN requires mail: set MAIL_URL, or "):
            databases.bare_app("sqlite://", EMAIL_LOGIN="true", MAIL_URL=NO_MAIL)
