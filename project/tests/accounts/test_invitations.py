"""Registration, invitations, and resets by an administrator; through HTTP."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, ClassVar
from unittest import mock

import time_machine
from sqlalchemy import select

from project.accounts.throttle import policies
from project.clock import utcnow
from project.config import ConfigError
from project.extensions import db
from project.models import AuditEvent, OneTimeToken, Outbox, User
from project.security.rate_limit import Limit
from project.settings.mail_parsers import NO_MAIL
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, InProcess, Reply

INVITATIONS = "/auth/invitations"
ACCEPT = "/auth/invitations/accept"
ADA = "ada@example.com"
ADMIN = "admin@example.com"
CLOSED = (403, "Registration is closed.", "registration_closed")
CODE_INVALID = (400, "That code is wrong or has expired.", "code_invalid")
EXISTS = (400, "Sorry. That user already exists.", "user_exists")
NOT_FOUND = (404, "Not found.", "not_found")
WEEK = timedelta(days=7)


class InvitationCase(MailboxCase):
    """A service where an administrator invites."""

    overrides: ClassVar[dict[str, object]] = {"REGISTRATION": "invited"}

    def setUp(self) -> None:
        super().setUp()
        self.admin_id = self.add_user("admin", ADMIN, admin=True)
        self.admin = self.add_token(self.admin_id)

    def invite(self, email: str = ADA, **fields: str) -> Any:
        """Invite an address; return the invitation."""
        reply = self.caller.post(INVITATIONS, {"email": email} | fields, self.admin)
        return self.assert_success(reply, 201, "The invitation is on its way.")["data"]

    def link_token(self, email: str = ADA) -> str:
        """Return the token of the newest invitation of an address."""
        return self.token_of(self.mail("invitation", email)["link"])

    def accept(self, token: str, username: str = "ada", **fields: object) -> Reply:
        """Accept an invitation."""
        account = {"token": token, "username": username, "password": PASSWORD}
        return self.caller.post(ACCEPT, account | fields)

    def outstanding(self) -> list[str]:
        """Return the addresses in the list of invitations."""
        body = self.assert_success(self.caller.get(INVITATIONS, self.admin), 200)
        return [each["email"] for each in body["data"]["invitations"]]

    def events(self) -> list[Any]:
        """Return the events that administrators look for, oldest first."""
        with self.app.app_context():
            rows = db.session.execute(
                select(AuditEvent.event, AuditEvent.user_id, AuditEvent.details)
                .where(AuditEvent.event.like("invitation.%") | AuditEvent.event.like("%requested"))
                .order_by(AuditEvent.id)
            )
            return [tuple(row) for row in rows]


class TestInvitations(InvitationCase):
    """POST, GET and DELETE /auth/invitations, and /auth/invitations/accept."""

    def test_an_invitation_creates_a_verified_account_and_a_session(self) -> None:
        invitation = self.invite()
        self.assertEqual((invitation["email"], self.outstanding()), (ADA, [ADA]))
        body = self.assert_success(self.accept(self.link_token()), 201, "Successfully registered.")
        data = self.caller.status(body["auth_token"]).body["data"]
        self.assertEqual(
            (data["username"], data["email"], data["email_verified"], data["admin"]),
            ("ada", ADA, True, False),
        )
        self.assertEqual(self.caller.login(ADA).status, 200)
        self.assertEqual(self.outstanding(), [])
        self.assertEqual([mail["kind"] for mail in self.mails(ADA)], ["invitation"])
        ours = {"invitation": invitation["id"]}
        self.assertEqual(
            self.events(),
            [
                ("invitation.sent", None, ours | {"by": self.admin_id}),
                ("invitation.accepted", data["id"], ours),
            ],
        )

    def test_an_invitation_is_accepted_once(self) -> None:
        self.invite()
        token = self.link_token()
        self.assertEqual(self.accept(token).status, 201)
        self.assert_error(self.accept(token, "another"), *CODE_INVALID)

    def test_only_one_of_parallel_acceptances_succeeds(self) -> None:
        self.invite()
        token = self.link_token()

        def accept(number: int) -> int:
            account = {"token": token, "username": f"ada{number}", "password": PASSWORD}
            return InProcess(self.app.test_client()).post(ACCEPT, account).status

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(accept, range(8)))
        self.assertEqual(statuses.count(201), 1, statuses)
        self.assertLessEqual(set(statuses), {201, 400, 503})
        with self.app.app_context():
            self.assertEqual(db.session.query(User).count(), 2)

    def test_an_acceptance_cannot_set_the_address_or_the_admin_flag(self) -> None:
        self.invite()
        fields: dict[str, Any] = {"email": "other@example.com", "admin": True, "active": False}
        token = self.accept(self.link_token(), **fields).body["auth_token"]
        data = self.caller.status(token).body["data"]
        self.assertEqual((data["email"], data["admin"], data["active"]), (ADA, False, True))
        self.assertEqual(self.caller.get("/users", token).status, 401)

    def test_a_second_invitation_invalidates_the_first(self) -> None:
        self.invite()
        first = self.link_token()
        self.invite("ADA@example.com")
        second = self.link_token("ADA@example.com")
        self.assertEqual(self.outstanding(), ["ADA@example.com"])
        self.assert_error(self.accept(first), *CODE_INVALID)
        self.assertEqual(self.accept(second).status, 201)

    def test_an_invitation_that_is_superseded_before_its_delivery_is_not_sent(self) -> None:
        self.invite()
        self.invite()
        self.assertEqual(len(self.mails(ADA)), 1)
        with self.app.app_context():
            skipped = select(Outbox.reason).where(Outbox.outcome == "skipped")
            self.assertEqual(db.session.scalars(skipped).all(), ["superseded"])

    def test_an_invitation_can_be_cancelled(self) -> None:
        path = f"{INVITATIONS}/{self.invite()['id']}"
        token = self.link_token()
        reply = self.caller.call("DELETE", path, token=self.admin)
        self.assert_success(reply, 200, "Invitation cancelled.")
        self.assert_error(self.accept(token), *CODE_INVALID)
        self.assertEqual(self.outstanding(), [])
        for unknown in (path, f"{INVITATIONS}/x", f"{INVITATIONS}/{'0' * 32}"):
            reply = self.caller.call("DELETE", unknown, token=self.admin)
            self.assert_error(reply, *NOT_FOUND)
        self.assertEqual([event for event, *_ in self.events()][1:], ["invitation.cancelled"])

    def test_only_invitations_can_be_cancelled(self) -> None:
        self.caller.post("/auth/password/reset", {"email": ADMIN})
        with self.app.app_context():
            token_id = db.session.scalars(select(OneTimeToken.id)).one()
        reply = self.caller.call("DELETE", f"{INVITATIONS}/{token_id.hex}", token=self.admin)
        self.assert_error(reply, *NOT_FOUND)

    def test_an_invitation_expires_after_a_week(self) -> None:
        self.invite()
        token = self.link_token()
        with time_machine.travel(utcnow() + WEEK, tick=False):
            self.assert_error(self.accept(token), *CODE_INVALID)
        with time_machine.travel(utcnow() + WEEK - timedelta(minutes=1)):
            self.assertEqual(self.accept(token).status, 201)

    def test_a_rejected_request_does_not_consume_the_invitation(self) -> None:
        self.invite()
        token = self.link_token()
        self.assert_error(self.accept(token, "admin"), *EXISTS)
        self.assert_field_errors(self.accept(token, ""), ("username", "too_short"))
        with mock.patch.dict(self.app.config, PASSWORD_POLICY=True):
            reply = self.accept(token, password="short")
            self.assert_field_errors(reply, ("password", "password_too_short"))
        self.assertEqual(self.accept(token).status, 201)

    def test_a_request_with_an_invalid_token_costs_no_hash(self) -> None:
        self.invite()
        token = self.link_token()
        self.caller.post("/auth/password/reset", {"email": ADMIN})
        reset = self.token_of(self.mail("password_reset", ADMIN)["link"])
        edited = token[:-1] + ("A" if token[-1] != "A" else "B")
        with mock.patch.object(User, "hash_password") as hashed:
            replies = [self.accept(each) for each in (edited, reset, "A" * 43, "", "é")]
        hashed.assert_not_called()
        self.assertEqual({(reply.status, reply.raw) for reply in replies}, {(400, replies[0].raw)})
        self.assert_error(replies[0], *CODE_INVALID)

    def test_other_routes_reject_the_token(self) -> None:
        self.invite()
        token = {"token": self.link_token(), "password": PASSWORD}
        for path in ("password/reset/confirm", "email/verification/confirm", "disown"):
            self.assert_error(self.caller.post(f"/auth/{path}", token), *CODE_INVALID)

    def test_an_address_with_an_account_cannot_be_invited(self) -> None:
        reply = self.caller.post(INVITATIONS, {"email": ADMIN.upper()}, self.admin)
        self.assert_error(reply, 400, "Sorry. That email already exists.", "email_exists")

    def test_an_invitation_is_rejected_if_its_address_is_registered_meanwhile(self) -> None:
        self.invite()
        token = self.link_token()
        account = {"username": "ada", "email": ADA, "password": PASSWORD}
        self.assertEqual(self.caller.post("/users", account, self.admin).status, 201)
        self.assert_error(self.accept(token, "another"), *EXISTS)

    def test_only_administrators_can_invite(self) -> None:
        token = self.add_token(self.add_user())
        for method, path in (
            ("POST", INVITATIONS),
            ("GET", INVITATIONS),
            ("DELETE", f"{INVITATIONS}/{'0' * 32}"),
        ):
            for session, code in ((token, "not_permitted"), (None, "token_missing")):
                reply = self.caller.call(method, path, token=session)
                self.assertEqual((reply.status, reply.body["code"]), (401, code))

    def test_the_writes_of_an_administrator_are_counted(self) -> None:
        with mock.patch.dict(self.app.config, THROTTLE_WRITES=Limit(2, WEEK)):
            self.invite()
            self.invite()
            reply = self.caller.post(INVITATIONS, {"email": ADA}, self.admin)
        self.assertEqual((reply.status, reply.body["code"]), (429, "rate_limited"))

    def test_the_mail_is_in_the_language_of_the_invitation(self) -> None:
        self.invite(language="de")
        self.assertIn("Einladung", self.mail("invitation", ADA)["subject"])
        reply = self.caller.post(INVITATIONS, {"email": ADA, "language": "x" * 9}, self.admin)
        self.assert_field_errors(reply, ("language", "not_a_language"))

    def test_administrators_can_create_accounts_while_registration_is_closed(self) -> None:
        self.assert_error(self.caller.register(), *CLOSED)
        account = {"username": "ada", "email": ADA, "password": PASSWORD}
        self.assertEqual(self.caller.post("/users", account, self.admin).status, 201)
        features = self.caller.get("/auth/features").body["data"]
        self.assertEqual(features["registration"], "invited")


class TestResetByAnAdministrator(InvitationCase):
    """POST /users/<id>/password-reset."""

    overrides: ClassVar[dict[str, object]] = {}

    def reset(self, user_id: object, session: str | None = None) -> Reply:
        """Start a reset for a user."""
        return self.caller.post(f"/users/{user_id}/password-reset", token=session or self.admin)

    def test_the_user_gets_a_mail_and_chooses_the_password(self) -> None:
        user_id = self.add_user()
        body = self.assert_success(self.reset(user_id), 202, "A mail is on its way.")
        self.assertEqual(set(body), {"status", "message"})
        payload = {"token": self.token_of(self.mail("password_reset")["link"])}
        payload |= {"password": "correct horse battery staple"}
        self.assertEqual(self.caller.post("/auth/password/reset/confirm", payload).status, 200)
        requested = ("password_reset.requested", user_id, {"by": self.admin_id})
        self.assertEqual(self.events(), [requested])

    def test_the_limit_of_requested_mail_does_not_apply(self) -> None:
        user_id = self.add_user()
        with mock.patch.object(policies.Policy, "limit", Limit(1, WEEK)):
            for address in ("198.51.100.1", "198.51.100.2"):
                client = self.app.test_client()
                client.environ_base["REMOTE_ADDR"] = address
                payload = {"email": "michael@example.com"}
                reply = InProcess(client).post("/auth/password/reset", payload)
                self.assertEqual(reply.status, 202)
            self.assertEqual(len(self.mails()), 1)
            self.assertEqual(self.reset(user_id).status, 202)
            self.assertEqual(len(self.mails()), 2)

    def test_an_unknown_user_is_not_found(self) -> None:
        for user_id in (self.admin_id + 1, 0, "x", 2**40):
            self.assert_error(self.reset(user_id), 404, "User does not exist", "user_not_found")

    def test_only_administrators_can_request_a_reset_for_a_user(self) -> None:
        user_id = self.add_user()
        reply = self.reset(user_id, self.add_token(user_id))
        self.assertEqual((reply.status, reply.body["code"]), (401, "not_permitted"))


QUOTA = 50


class TestExistingAccounts(BaseTestCase):
    """The limit of registrations that are rejected because the account exists."""

    def setUp(self) -> None:
        super().setUp()
        self.add_user()

    def register(self, number: int, email: str = "michael@example.com") -> Reply:
        """Register an address under a username of its own."""
        return self.caller.register(f"user{number}", email)

    def test_fifty_rejected_registrations_an_hour_block_the_network(self) -> None:
        with time_machine.travel(utcnow(), tick=False) as clock:
            for number in range(QUOTA):
                self.assert_error(self.register(number), *EXISTS)
            with mock.patch.object(User, "hash_password") as hashed:
                reply = self.register(QUOTA, "new@example.com")
            hashed.assert_not_called()
            self.assertEqual((reply.status, reply.body["code"]), (429, "rate_limited"))
            self.assertEqual(reply.headers["RateLimit-Policy"], '"registration-taken";q=50;w=3600')
            clock.shift(timedelta(hours=1, seconds=1))
            self.assertEqual(self.register(QUOTA, "new@example.com").status, 201)

    def test_other_registrations_do_not_count(self) -> None:
        for number in range(QUOTA - 1):
            self.register(number)
        with mock.patch.dict(self.app.config, PASSWORD_POLICY=True):
            for number in range(3):
                reply = self.register(number, f"new{number}@example.com")
                self.assertEqual(reply.body["code"], "invalid_payload")
        for number in range(3):
            self.assertEqual(self.register(number, f"new{number}@example.com").status, 201)
        self.assert_error(self.register(QUOTA), *EXISTS)
        self.assertEqual(self.register(QUOTA + 1).status, 429)

    def test_concurrent_registrations_stay_within_the_limit(self) -> None:
        for number in range(QUOTA - 2):
            self.register(number)

        def register(number: int) -> int:
            return InProcess(self.app.test_client()).register(f"user{number}").status

        self.caller.register("another", "test@test.com")
        with ThreadPoolExecutor(4) as threads:
            statuses = list(threads.map(register, range(8)))
        self.assertLessEqual(statuses.count(400), 2)
        self.assertLessEqual(set(statuses), {400, 429, 503})


class TestModes(BaseTestCase):
    """REGISTRATION."""

    def test_open_registration_has_no_routes_of_invitations(self) -> None:
        for method, path in (("POST", INVITATIONS), ("GET", INVITATIONS), ("POST", ACCEPT)):
            self.assert_error(self.caller.call(method, path), *NOT_FOUND)
        self.assertEqual(self.caller.register().status, 201)
        features = self.caller.get("/auth/features").body["data"]
        self.assertEqual(features["registration"], "open")

    def test_closed_registration_has_no_routes_of_invitations(self) -> None:
        app = databases.shared_app(REGISTRATION="closed", MAIL_URL=NO_MAIL)
        self.caller = InProcess(app.test_client())
        self.assert_error(self.caller.register(), *CLOSED)
        self.assert_error(self.caller.post(INVITATIONS, {"email": ADA}), *NOT_FOUND)
        admin = self.add_token(self.add_user(admin=True))
        account = {"username": "ada", "email": ADA, "password": PASSWORD}
        self.assertEqual(self.caller.post("/users", account, admin).status, 201)
        self.assertEqual(self.caller.post("/users/1/password-reset", token=admin).status, 404)

    def test_a_registration_that_is_closed_costs_no_hash(self) -> None:
        self.caller = InProcess(databases.shared_app(REGISTRATION="closed").test_client())
        with mock.patch.object(User, "hash_password") as hashed:
            self.assert_error(self.caller.register(), *CLOSED)
        hashed.assert_not_called()

    def test_invitations_require_mail(self) -> None:
        with self.assertRaisesRegex(ConfigError, "REGISTRATION is invited.*: set MAIL_URL, or"):
            databases.bare_app("sqlite://", REGISTRATION="invited", MAIL_URL=NO_MAIL)
