"""Account pre-hijacking (Sudhodanan and Paverd, 2022): an attacker acts before the victim.

The attacker registers the victim's address and prepares a way back. Then the victim recovers the
account by a password reset. The attack by federated login does not apply: there is none.
"""

from typing import ClassVar

import jwt
from sqlalchemy import select

from project.extensions import db
from project.models import KnownNetwork, User
from project.security import digests
from project.tests.support import databases
from project.tests.support.mailbox import MailboxCase
from project.tests.support.throttling import ClientAt
from project.tests.utils import Caller, InProcess, Reply

VICTIM = "victim@members.net"
ATTACKER = "attacker@elsewhere.net"
ATTACKERS_PASSWORD = "the attacker's password"
VICTIMS_PASSWORD = "the victim's password"
SERVICE_TOKEN = "a token of another service"
RESET = "/auth/password/reset"
CODE_INVALID = (400, "That code is wrong or has expired.", "code_invalid")


class PrehijackingCase(MailboxCase):
    """An attacker has registered the victim's address."""

    overrides: ClassVar[dict[str, object]] = {"SERVICE_TOKENS": (digests.sha256(SERVICE_TOKEN),)}

    def setUp(self) -> None:
        super().setUp()
        self.attacker: Caller = ClientAt(self.caller, "198.51.100.66")
        self.victim: Caller = ClientAt(self.caller, "203.0.113.7")
        registered = self.attacker.register("attacker", VICTIM, ATTACKERS_PASSWORD)
        self.access = registered.body["auth_token"]
        self.refresh = registered.body["refresh_token"]

    def recover(self) -> None:
        """Reset the password as the victim, by the link in the mail."""
        self.assertEqual(self.victim.post(RESET, {"email": VICTIM}).status, 202)
        proof = {"token": self.token_of(self.mail("password_reset", VICTIM)["link"])}
        reply = self.victim.post(f"{RESET}/confirm", proof | {"password": VICTIMS_PASSWORD})
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.log_in(VICTIMS_PASSWORD, self.victim).status, 200)

    def log_in(self, password: str, caller: Caller | None = None) -> Reply:
        """Log in to the account, as the attacker unless another caller is given."""
        return (caller or self.attacker).login(VICTIM, password)

    def assert_attacker_is_out(self) -> None:
        """Assert that the attacker's password and tokens are rejected, in another worker too."""
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        other = databases.bare_app(url, **self.overrides)
        for app in (self.app, other):
            caller = ClientAt(InProcess(app.test_client()), "198.51.100.66")
            self.assertEqual(caller.login(VICTIM, ATTACKERS_PASSWORD).status, 404)
            self.assertEqual(caller.status(self.access).status, 401)
            refreshed = caller.post("/auth/refresh", {"refresh_token": self.refresh})
            self.assertEqual(refreshed.status, 401)
        with other.app_context():
            db.engine.dispose()


class TestPrehijacking(PrehijackingCase):
    """The attacks that need no change of the address."""

    def test_classic_the_attackers_password_is_rejected_after_a_reset(self) -> None:
        with self.app.app_context():
            attackers = db.session.scalars(select(KnownNetwork.network)).all()
        self.assertEqual(attackers, ["198.51.100.66"])
        self.recover()
        self.assert_attacker_is_out()
        with self.app.app_context():
            known = db.session.scalars(select(KnownNetwork.network)).all()
        self.assertEqual(known, ["203.0.113.7"])
        feed = self.caller.get("/auth/revocations", SERVICE_TOKEN).body["data"]
        claims = jwt.decode(self.access, options={"verify_signature": False})
        self.assertEqual(feed["session_ids"], [claims["sid"]])

    def test_unexpired_session_every_session_and_its_refresh_tokens_end(self) -> None:
        sessions = [self.log_in(ATTACKERS_PASSWORD).body for _ in range(3)]
        refreshed = self.attacker.post("/auth/refresh", {"refresh_token": self.refresh}).body
        self.recover()
        for tokens in (*sessions, refreshed):
            self.access, self.refresh = tokens["auth_token"], tokens["refresh_token"]
            self.assertEqual(self.attacker.status(self.access).status, 401)
            payload = {"refresh_token": self.refresh}
            self.assertEqual(self.attacker.post("/auth/refresh", payload).status, 401)
        self.assert_attacker_is_out()

    def test_unexpired_requests_of_the_attacker_confirm_nothing(self) -> None:
        asked = self.attacker.post(RESET, {"email": VICTIM}).body["data"]["request_id"]
        code = self.mail("password_reset", VICTIM)["code"]  # the victim might be talked into it
        verification = self.mail("email_verification", VICTIM)
        self.recover()
        proof = {"request_id": asked, "code": code, "password": ATTACKERS_PASSWORD}
        self.assert_error(self.attacker.post(f"{RESET}/confirm", proof), *CODE_INVALID)
        link = {"token": self.token_of(verification["link"]), "password": ATTACKERS_PASSWORD}
        reply = self.attacker.post("/auth/email/verification/confirm", link)
        self.assert_error(reply, *CODE_INVALID)
        self.assert_attacker_is_out()

    def test_non_verifying_the_victims_click_does_not_verify_the_attackers_account(self) -> None:
        mail = self.mail("email_verification", VICTIM)
        link = {"token": self.token_of(mail["link"])}
        confirm = "/auth/email/verification/confirm"
        self.assertEqual(self.victim.post(confirm, link).status, 400)
        reply = self.victim.post(confirm, link | {"password": VICTIMS_PASSWORD})
        self.assert_error(reply, 403, "The current password is wrong.", "password_wrong")
        status = self.attacker.status(self.access).body
        self.assertFalse(status["data"]["email_verified"])
        disown = {"token": self.disown_token(mail)}
        self.assert_success(self.victim.post("/auth/disown", disown), 200, "Done.")
        self.assert_attacker_is_out()
        with self.app.app_context():
            self.assertEqual(db.session.query(User).count(), 0)
        self.assertEqual(self.victim.register("victim", VICTIM, VICTIMS_PASSWORD).status, 201)


class TestPrehijackingByChange(PrehijackingCase):
    """The attacks by a change of the address, requested before the victim claims the account."""

    def setUp(self) -> None:
        super().setUp()
        reply = self.attacker.post("/auth/email/change", {"email": ATTACKER}, self.access)
        self.assertEqual(reply.status, 202)
        self.change = self.mail("email_change", ATTACKER)

    def confirm(self, session: str | None = None, **proof: str) -> Reply:
        """Confirm the change as the attacker."""
        return self.attacker.post("/auth/email/change/confirm", proof, session)

    def test_unexpired_change_the_attackers_link_and_code_are_rejected(self) -> None:
        self.recover()
        link = self.token_of(self.change["link"])
        for password in (ATTACKERS_PASSWORD, VICTIMS_PASSWORD):
            self.assert_error(self.confirm(token=link, password=password), *CODE_INVALID)
        self.assertEqual(self.confirm(self.access, code=self.change["code"]).status, 401)
        session = self.log_in(VICTIMS_PASSWORD, self.victim).body["auth_token"]
        self.assert_error(self.confirm(session, code=self.change["code"]), *CODE_INVALID)
        self.assertEqual(self.victim.status(session).body["data"]["email"], VICTIM)

    def test_trojan_identifier_the_attackers_address_does_not_recover_the_account(self) -> None:
        self.recover()
        other = ClientAt(self.caller, "198.51.100.67")
        self.assertEqual(other.post(RESET, {"email": ATTACKER}).status, 202)
        self.assertEqual([mail["kind"] for mail in self.mails(ATTACKER)], ["email_change"])
        self.assertEqual(other.login(ATTACKER, ATTACKERS_PASSWORD).status, 404)
        self.assert_attacker_is_out()
