"""Codes and links against scanners, guessers, floods and readers of the database; through HTTP."""

import re
from datetime import timedelta
from functools import cached_property, partial
from typing import Any
from unittest import mock

import time_machine
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from project.accounts import lifecycle, sessions, suppression
from project.accounts.throttle import policies
from project.clock import utcnow
from project.extensions import db
from project.settings.mail_parsers import mail_url
from project.tests.support import captured_logs, databases, smtp
from project.tests.support.mailbox import MailboxCase
from project.tests.support.smtp import HANG
from project.tests.support.throttling import ClientAt
from project.tests.utils import PASSWORD, Caller, InProcess, Reply

EMAIL = "michael@example.com"
NEW = "correct horse battery staple"
RESET = "/auth/password/reset"
VERIFICATION = "/auth/email/verification"
CODE_INVALID = (400, "That code is wrong or has expired.", "code_invalid")
REQUEST_ID = re.compile(rb'"request_id": ?"[\w-]{43}"')


class CodesCase(MailboxCase):
    """An account whose owner has requested a reset and a verification."""

    def setUp(self) -> None:
        super().setUp()
        self.session = self.caller.register("michael", EMAIL, PASSWORD).body["auth_token"]
        self.request_id = self.request_reset().body["data"]["request_id"]

    def request_reset(self, email: str = EMAIL, network: str = "127.0.0.1") -> Reply:
        """Request a reset from an address."""
        return ClientAt(self.caller, network).post(RESET, {"email": email})

    def reset(self, **proof: str) -> Reply:
        """Confirm a reset."""
        return self.caller.post(f"{RESET}/confirm", {"password": NEW} | proof)

    def verify(self, **proof: str) -> Reply:
        """Confirm the address."""
        return self.caller.post(f"{VERIFICATION}/confirm", proof)

    @cached_property
    def reset_mail(self) -> Any:
        """The mail with the reset's code and link."""
        return self.mail("password_reset")

    @cached_property
    def verification_mail(self) -> Any:
        """The mail with the verification's code and links."""
        return self.mail("email_verification")

    def link_tokens(self) -> dict[str, str]:
        """Return the token of each link in the mails, by the route that accepts it."""
        return {
            f"{RESET}/confirm": self.token_of(self.reset_mail["link"]),
            f"{VERIFICATION}/confirm": self.token_of(self.verification_mail["link"]),
            "/auth/disown": self.disown_token(self.verification_mail),
        }


class TestLinks(CodesCase):
    """The links of mails."""

    def test_a_link_has_its_token_in_the_query_and_the_mail_has_a_code_too(self) -> None:
        for mail in (self.reset_mail, self.verification_mail):
            self.assertRegex(mail["link"], r"^[^#?]+\?token=[\w-]{43}$")
            self.assertIn(mail["code"], mail["text"])

    def test_a_token_is_accepted_only_by_its_own_route(self) -> None:
        tokens = self.link_tokens()
        for route in tokens:
            for owner, token in tokens.items():
                if owner != route:
                    payload = {"token": token, "password": PASSWORD}
                    self.assert_error(self.caller.post(route, payload), *CODE_INVALID)
        code = self.reset_mail["code"]
        reply = self.caller.post(f"{VERIFICATION}/confirm", {"code": code}, self.session)
        self.assert_error(reply, *CODE_INVALID)
        self.assertEqual(self.reset(request_id=self.request_id, code=code).status, 200)

    def test_an_edited_token_is_rejected(self) -> None:
        for route, token in self.link_tokens().items():
            for place, letter in enumerate(token):
                edited = f"{token[:place]}{'B' if letter == 'A' else 'A'}{token[place + 1 :]}"
                reply = self.caller.post(route, {"token": edited, "password": PASSWORD})
                self.assert_error(reply, *CODE_INVALID)

    def test_a_change_of_the_password_invalidates_codes_and_links(self) -> None:
        tokens = self.link_tokens()
        change = {"current_password": PASSWORD, "password": NEW}
        self.assertEqual(self.caller.post("/auth/password", change, self.session).status, 200)
        self.assert_error(self.reset(token=tokens[f"{RESET}/confirm"]), *CODE_INVALID)
        code = self.reset_mail["code"]
        self.assert_error(self.reset(request_id=self.request_id, code=code), *CODE_INVALID)
        link = {"token": tokens[f"{VERIFICATION}/confirm"], "password": NEW}
        self.assert_error(self.verify(**link), *CODE_INVALID)

    def test_the_deletion_of_the_account_invalidates_codes_and_links(self) -> None:
        tokens = self.link_tokens()
        with self.app.app_context():
            lifecycle.remove(EMAIL)
        for route, token in tokens.items():
            reply = self.caller.post(route, {"token": token, "password": PASSWORD})
            self.assert_error(reply, *CODE_INVALID)

    def test_a_database_error_does_not_consume_a_code(self) -> None:
        proof = {"request_id": self.request_id, "code": self.reset_mail["code"]}
        away = OperationalError("", {}, OSError("away"))
        with mock.patch.object(sessions, "mark_all_ended", side_effect=away):
            self.assertEqual(self.reset(**proof).status, 503)
        self.assertEqual(self.reset(**proof).status, 200)


class TestSecretsAtRest(CodesCase):
    """The database and the logs, in the middle of operations."""

    def setUp(self) -> None:
        self.written = self.enterContext(captured_logs.captured())
        super().setUp()

    def dump(self) -> str:
        """Return all rows of all tables and all lines of the log."""
        with self.app.app_context():
            rows = [
                str(tuple(row))
                for table in db.metadata.sorted_tables
                for row in db.session.execute(text(f"SELECT * FROM {table.name}"))
            ]
        return "\n".join([*rows, self.written.getvalue()])

    def test_the_database_and_the_log_contain_no_valid_code_or_link(self) -> None:
        tokens, codes = (
            self.link_tokens(),
            [self.reset_mail["code"], self.verification_mail["code"]],
        )
        self.request_reset(network="203.0.113.9")  # waits in the outbox
        found = {*re.findall(r"[\w.@-]{8,}", self.dump())}
        self.assertGreater(len(found), 50)
        letters = {re.sub(r"[^A-Z]", "", text.upper()) for text in found}
        self.assertTrue(letters.isdisjoint(code.replace("-", "") for code in codes))
        for string in found:
            for route in tokens:
                payload = {"token": string, "password": string}
                self.assertEqual(self.caller.post(route, payload).status, 400, string)
            self.assertEqual(self.reset(request_id=string, code=string).status, 400, string)
            self.assertEqual(self.caller.status(string).status, 401, string)
            refresh = {"refresh_token": string}
            self.assertEqual(self.caller.post("/auth/refresh", refresh).status, 401, string)


class TestEnumeration(MailboxCase):
    """A request for mail, with every kind of address."""

    def test_ten_calls_get_the_same_responses_for_every_kind_of_address(self) -> None:
        self.add_user("known", "known@members.net", email_verified_at=utcnow())
        self.add_user("unverified", "unverified@members.net")
        self.add_user("inactive", "inactive@members.net", active=False)
        self.add_user("suppressed", "suppressed@members.net", email_verified_at=utcnow())
        with self.app.app_context():
            suppression.suppress("suppressed@members.net")
            db.session.commit()
        responses: set[Any] = set()
        statements = set()
        for number in range(10):
            caller = ClientAt(self.caller, f"203.0.113.{number}")
            for name in ("known", "unverified", "inactive", "suppressed", "unknown"):
                request = partial(self.request, caller, f"{name}@members.net", responses)
                statements.add(tuple(self.statements_of(request, 202)))
            self.deliver()
        self.assertEqual((len(responses), len(statements)), (1, 1))

    def request(self, caller: Caller, email: str, responses: set[Any]) -> Reply:
        """Request a reset; add the response, without its request id."""
        reply = caller.post(RESET, {"email": email})
        responses.add((REQUEST_ID.sub(b"", reply.raw), tuple(reply.headers.keys())))
        return reply

    def test_a_lookalike_address_gets_no_mail(self) -> None:
        self.add_user(email="mike@members.net")
        for typed in ("m\u0131ke@members.net", "mike@members.net.", "mike+a@members.net"):
            self.caller.post(RESET, {"email": typed})
            self.assertEqual(self.mails(typed), [])
        self.assertEqual(self.mails("mike@members.net"), [])

    def test_requests_do_not_wait_for_a_hanging_mail_server(self) -> None:
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        with smtp.running(smtp.FaultyServer({"greeting": HANG})) as server:
            app = databases.bare_app(url, MAIL_URL=mail_url(server.url))
            caller = InProcess(app.test_client())
            session = caller.register("michael", EMAIL, PASSWORD).body["auth_token"]
            self.assertEqual(caller.post(RESET, {"email": EMAIL}).status, 202)
            self.assertEqual(
                caller.post(VERIFICATION, token=session).status, 429
            )  # within a minute
            change = {"current_password": PASSWORD, "password": NEW}
            self.assertEqual(caller.post("/auth/password", change, session).status, 200)
            self.assertEqual(server.connections, 0)
            with app.app_context():
                db.engine.dispose()


class TestFlood(CodesCase):
    """An attacker requests resets of an account, and guesses."""

    def flood(self) -> list[Any]:
        """Request resets from many networks and guess their codes; return the mails."""
        for number in range(10):
            asked = self.request_reset(network=f"198.51.100.{number}").body["data"]["request_id"]
            caller = ClientAt(self.caller, f"198.51.100.{number}")
            guess = {"request_id": asked, "code": "BBBB-BBBB", "password": NEW}
            for _ in range(5):
                self.assert_error(caller.post(f"{RESET}/confirm", guess), *CODE_INVALID)
        return [mail for mail in self.mails() if mail["kind"] == "password_reset"]

    def test_the_owner_can_use_the_link_of_any_mail(self) -> None:
        mails = self.flood()
        self.assertLessEqual(len(mails), policies.MAIL_DAY.limit.quota + 1)
        for mail in (mails[0], mails[-1]):
            token = self.token_of(mail["link"])
            weak = {"token": token, "password": "x"}
            with mock.patch.dict(self.app.config, PASSWORD_POLICY=True):
                reply = self.caller.post(f"{RESET}/confirm", weak)
            self.assertEqual(reply.body["code"], "invalid_payload")  # the link itself is valid
        self.assertEqual(self.reset(token=token).status, 200)

    def test_the_owner_can_use_a_code_requested_from_a_known_network(self) -> None:
        self.flood()
        with time_machine.travel(utcnow() + timedelta(minutes=2)):
            asked = self.request_reset().body["data"]["request_id"]
            code = self.mail("password_reset")["code"]
            self.assertEqual(self.reset(request_id=asked, code=code).status, 200)
