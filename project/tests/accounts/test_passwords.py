"""Changing and resetting a password, through HTTP."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from unittest import mock

import time_machine
from sqlalchemy import select, text

from project.accounts import lifecycle
from project.accounts.throttle import policies
from project.clock import utcnow
from project.delivery import folder, outcomes
from project.delivery import mail as mail_delivery
from project.extensions import db
from project.models import AuditEvent, KnownNetwork, OneTimeToken, Outbox, Revocation, User
from project.security.passwords import Weakness
from project.serving.hashing_pool import HashingPool, PoolFull
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, InProcess, Reply

RESET = "/auth/password/reset"
EMAIL = "michael@example.com"
NEW = "correct horse battery staple"
CODE_INVALID = (400, "That code is wrong or has expired.", "code_invalid")
ACCEPTED = "If an account has this address, a mail is on its way."


class TestChange(MailboxCase):
    """POST /auth/password."""

    def setUp(self) -> None:
        super().setUp()
        self.add_user()
        self.token = self.caller.login().body["auth_token"]

    def change(self, current: str = PASSWORD, new: str = NEW) -> Reply:
        """Change the password."""
        return self.caller.post(
            "/auth/password", {"current_password": current, "password": new}, self.token
        )

    def test_old_tokens_are_rejected_and_the_new_ones_work(self) -> None:
        other = self.caller.login().body
        body = self.assert_success(self.change(), 200, "Password changed.")
        for token in (self.token, other["auth_token"]):
            self.assertEqual(self.caller.status(token).status, 401)
        refreshed = self.caller.post("/auth/refresh", {"refresh_token": other["refresh_token"]})
        self.assertEqual(refreshed.status, 401)
        self.assertEqual(self.caller.status(body["auth_token"]).status, 200)
        self.assertEqual(self.caller.login().status, 404)
        self.assertEqual(self.caller.login(password=NEW).status, 200)
        with self.app.app_context():
            self.assertEqual(db.session.query(Revocation).count(), 2)

    def test_a_wrong_current_password_changes_nothing_and_counts_as_a_login(self) -> None:
        for _ in range(5):
            self.assert_error(
                self.change("wrong"), 403, "The current password is wrong.", "password_wrong"
            )
        self.assertEqual(self.change().status, 429)
        self.assertEqual(self.caller.status(self.token).status, 200)

    def test_a_weak_password_is_rejected(self) -> None:
        with mock.patch.dict(self.app.config, PASSWORD_POLICY=True):
            self.assert_field_errors(self.change(new="short"), ("password", "password_too_short"))

    def test_the_link_of_the_notice_locks_the_account_until_a_reset(self) -> None:
        token = self.change().body["auth_token"]
        disown = {"token": self.disown_token(self.mail("password_changed"))}
        self.assert_success(self.caller.post("/auth/disown", disown), 200, "Done.")
        self.assertEqual(self.caller.status(token).status, 401)
        self.assertEqual(self.caller.login(password=NEW).status, 404)
        self.assert_error(self.caller.post("/auth/disown", disown), *CODE_INVALID)
        reset = {"token": self.token_of(self.mail("password_reset")["link"]), "password": NEW}
        self.assertEqual(self.caller.post("/auth/password/reset/confirm", reset).status, 200)
        self.assertEqual(self.caller.login(password=NEW).status, 200)

    def test_a_login_that_overlaps_the_change_starts_no_session(self) -> None:
        check = User.check_password

        def slow(*args: Any) -> bool:
            is_valid = check(*args)
            with mock.patch.object(User, "check_password", check):
                self.change()
            return is_valid

        with mock.patch.object(User, "check_password", side_effect=slow):
            reply = InProcess(self.app.test_client()).login()
        self.assertEqual(reply.status, 404)

    def test_a_change_works_without_mail(self) -> None:
        with self.app.app_context():
            url = self.app.config["MAIL_URL"]
        with mock.patch.dict(self.app.config, MAIL_URL=type(url)("none")):
            self.assertEqual(self.change().status, 200)
        with self.app.app_context():
            self.assertEqual(db.session.query(Outbox).count(), 0)


class TestReset(MailboxCase):
    """POST /auth/password/reset and /confirm."""

    later: ClassVar[timedelta] = timedelta(seconds=61)

    def request(self, email: str = EMAIL) -> str:
        """Request a mail; return the request id."""
        reply = self.caller.post("/auth/password/reset", {"email": email})
        body = self.assert_success(reply, 202, ACCEPTED)
        self.assertEqual((body["data"]["expires_in"], body["data"]["resend_in"]), (1800, 60))
        request_id: str = body["data"]["request_id"]
        return request_id

    def confirm(self, password: str = NEW, **proof: str) -> Reply:
        """Confirm with a token, or a request id and a code."""
        return self.caller.post("/auth/password/reset/confirm", {"password": password} | proof)

    def test_the_code_resets_the_password_once(self) -> None:
        self.add_user()
        proof = {"request_id": self.request(), "code": self.mail("password_reset")["code"]}
        body = self.assert_success(self.confirm(**proof), 200, "Password changed. Please log in.")
        self.assertNotIn("auth_token", body)
        self.assert_error(self.confirm(**proof), *CODE_INVALID)
        self.assertEqual(self.caller.login(password=NEW).status, 200)
        self.assertEqual(self.mail("password_changed")["to"], EMAIL)

    def test_an_unknown_address_gets_the_same_response_and_no_mail(self) -> None:
        user_id = self.add_user(email_verified_at=utcnow())
        self.add_user("inactive", "inactive@example.com", active=False)
        replies = [
            self.caller.post("/auth/password/reset", {"email": email})
            for email in (EMAIL, "nobody@example.com", "inactive@example.com")
        ]
        shapes = {
            (reply.status, reply.body["message"], tuple(sorted(reply.headers.keys())))
            for reply in replies
        }
        self.assertEqual(len(shapes), 1)
        self.assertEqual({len(reply.raw) for reply in replies}, {len(replies[0].raw)})
        self.assertEqual([mail["to"] for mail in self.all_mails()], [EMAIL])
        with self.app.app_context():
            rows = db.session.execute(select(Outbox.outcome, Outbox.reason, Outbox.recipient))
            self.assertEqual(
                sorted(tuple(row) for row in rows if row.outcome == "skipped"),
                [("skipped", "inactive", None), ("skipped", "no account", None)],
            )
            owners = db.session.scalars(select(OneTimeToken.user_id)).all()
        self.assertEqual([owner for owner in owners if owner], [user_id])
        limits = [
            self.caller.post("/auth/password/reset", {"email": email})
            for email in (EMAIL, "nobody@example.com", "inactive@example.com")
        ]
        self.assertEqual({(reply.status, reply.raw) for reply in limits}, {(429, limits[0].raw)})

    def test_the_statements_are_the_same_for_every_address(self) -> None:
        self.add_user(email_verified_at=utcnow())
        self.request("another@example.com")  # what is cached is made
        first, second = (
            [
                self.statements_of(partial(self.caller.post, RESET, {"email": email}), status)
                for email in (EMAIL, "nobody@example.com")
            ]
            for status in (202, 429)
        )
        self.assertEqual(first[0], first[1])
        self.assertEqual(second[0], second[1])

    def test_deactivation_invalidates_tokens(self) -> None:
        self.add_user()
        self.request()
        token = self.token_of(self.mail("password_reset")["link"])
        with self.app.app_context():
            lifecycle.deactivate(EMAIL)
            lifecycle.activate(EMAIL)
        self.assert_error(self.confirm(token=token), *CODE_INVALID)

    def all_mails(self) -> list[Any]:
        """Deliver what is due; return all mail."""
        self.deliver()
        data: list[Any] = self.caller.get("/auth/dev/mail").body["data"]["messages"]
        return data

    def test_mail_goes_to_the_stored_address(self) -> None:
        self.add_user(email="Michael@Example.com")
        self.request("michael@example.COM")
        self.assertEqual([mail["to"] for mail in self.all_mails()], ["Michael@Example.com"])

    def test_a_reset_removes_the_access_of_an_intruder(self) -> None:
        intruder = self.caller.register("intruder", EMAIL, "intruders password").body
        self.request()
        link = self.mail("password_reset")["link"]
        self.assertEqual(self.confirm(token=self.token_of(link)).status, 200)
        self.assertEqual(self.caller.status(intruder["auth_token"]).status, 401)
        refresh = {"refresh_token": intruder["refresh_token"]}
        self.assertEqual(self.caller.post("/auth/refresh", refresh).status, 401)
        self.assertEqual(self.caller.login(password="intruders password").status, 404)
        with self.app.app_context():
            self.assertEqual(db.session.query(Revocation).count(), 1)
            self.assertEqual(db.session.query(KnownNetwork).count(), 0)
            user = db.session.scalars(select(User)).one()
            self.assertIsNotNone(user.email_verified_at)
            events = set(db.session.scalars(select(AuditEvent.event)))
        self.assertLessEqual({"password_reset.confirmed", "account.claimed"}, events)
        token = self.caller.login(password=NEW).body["auth_token"]
        self.assertTrue(self.caller.status(token).body["data"]["email_verified"])

    def test_a_reset_invalidates_all_other_tokens_except_disown_tokens(self) -> None:
        token = self.caller.register("michael", EMAIL, PASSWORD).body["auth_token"]
        verification = self.mail("email_verification")
        first, code = self.request(), self.mail("password_reset")["code"]
        with time_machine.travel(utcnow() + self.later):
            self.request()
            link = self.mail("password_reset")["link"]
            self.assertEqual(self.confirm(token=self.token_of(link)).status, 200)
        self.assertEqual(self.caller.status(token).status, 401)
        self.assert_error(self.confirm(request_id=first, code=code), *CODE_INVALID)
        proof = {"token": self.token_of(verification["link"]), "password": NEW}
        reply = self.caller.post("/auth/email/verification/confirm", proof)
        self.assert_error(reply, *CODE_INVALID)

    def test_a_rejected_confirmation_consumes_nothing(self) -> None:
        self.add_user()
        proof = {"request_id": self.request(), "code": self.mail("password_reset")["code"]}
        with mock.patch.dict(self.app.config, PASSWORD_POLICY=True):
            for _ in range(6):
                reply = self.confirm("short", **proof)
                self.assert_field_errors(reply, ("password", Weakness.TOO_SHORT.value))
        with mock.patch.object(HashingPool, "run", side_effect=PoolFull):
            self.assertEqual(self.confirm(**proof).status, 503)
        self.assertEqual(self.confirm(**proof).status, 200)

    def test_every_invalid_code_or_link_gets_the_same_error_and_costs_no_hash(self) -> None:
        self.add_user()
        request_id, mail = self.request(), self.mail("password_reset")
        token = self.token_of(mail["link"])
        proofs: list[dict[str, str]] = [
            {"request_id": "A" * 43, "code": mail["code"]},
            {"request_id": token, "code": mail["code"]},
            {"request_id": request_id, "code": "BBBB-BBBB"},
            {"token": request_id},
            {"token": token[:-1]},
            {"token": "é" * 43},
        ]
        with mock.patch.object(User, "hash_password") as hashed:
            replies = [self.confirm(**proof) for proof in proofs]
        self.assertEqual({(reply.status, reply.raw) for reply in replies}, {(400, replies[0].raw)})
        self.assert_error(replies[0], *CODE_INVALID)
        hashed.assert_not_called()
        self.assert_field_errors(self.confirm(code=mail["code"]), ("", "proof_missing"))

    def test_only_one_of_parallel_confirmations_succeeds(self) -> None:
        self.add_user()
        proof = {"request_id": self.request(), "code": self.mail("password_reset")["code"]}

        def confirm(number: int) -> int:
            caller = InProcess(self.app.test_client())
            payload = {"password": f"{NEW} {number}"} | proof
            return caller.post("/auth/password/reset/confirm", payload).status

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(confirm, range(16)))
        self.assertEqual(statuses.count(200), 1, statuses)
        self.assertLessEqual(set(statuses), {200, 400, 503})
        with self.app.app_context():
            events = db.session.scalars(select(AuditEvent.event)).all()
        self.assertEqual(events.count("password_reset.confirmed"), 1)
        kinds = [mail["kind"] for mail in self.mails()]
        self.assertEqual(kinds.count("password_changed"), 1)

    def test_an_address_gets_ten_mails_a_day_and_more_from_a_known_network(self) -> None:
        user_id = self.add_user()
        with self.app.app_context():
            known = KnownNetwork(user_id=user_id, network="127.0.0.1", last_login_at=utcnow())
            db.session.add(known)
            db.session.commit()
        with mock.patch.dict(self.app.config, TRUSTED_PROXIES=[]):
            for number in range(14):
                client = self.app.test_client()
                client.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
                InProcess(client).post("/auth/password/reset", {"email": EMAIL})
        self.assertEqual(len(self.mails()), policies.MAIL_DAY.limit.quota)
        self.request()
        mails = self.mails()
        self.assertEqual(len(mails), policies.MAIL_DAY.limit.quota + 1)
        proof = {"token": self.token_of(mails[0]["link"])}
        self.assertEqual(self.confirm(**proof).status, 200)

    def test_a_mail_that_is_tried_again_is_counted_once(self) -> None:
        self.add_user()
        self.request()
        deliverer = mail_delivery.deliverer(self.app)
        for _ in range(12):
            deliverer.resumes_at = None
            down = outcomes.TransportDown("dns", "none")
            with mock.patch.object(folder.Folder, "send", side_effect=down):
                deliverer.deliver_due()
        self.assertEqual(len(self.mails()), 1)

    def test_request_headers_do_not_change_the_mail(self) -> None:
        self.add_user()
        fields = {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "Forwarded": "host=evil.example",
            "Origin": "https://evil.example",
            "Referer": "https://evil.example/",
            "User-Agent": "http://evil.example/?token=x",
        }
        payload = {"email": EMAIL, "redirect_to": "https://evil.example", "url": "x"}
        self.caller.call("POST", "/auth/password/reset", payload, **fields)
        self.assertNotIn("evil", str(self.mail("password_reset")))

    def test_the_database_contains_no_code_and_no_token(self) -> None:
        self.add_user()
        self.request()
        mail = self.mail("password_reset")
        code, token = mail["code"].replace("-", ""), self.token_of(mail["link"])
        with self.app.app_context():
            dump = " ".join(
                str(tuple(row))
                for table in db.metadata.sorted_tables
                for row in db.session.execute(text(f"SELECT * FROM {table.name}"))
            )
        for secret in (code, mail["code"], token, token[22:]):
            self.assertNotIn(secret, dump)

    def test_get_and_head_change_nothing(self) -> None:
        self.add_user()
        self.request()
        token = self.token_of(self.mail("password_reset")["link"])
        for method in ("GET", "HEAD", "OPTIONS"):
            for path in ("/auth/password/reset/confirm", f"/auth/disown?token={token}"):
                self.caller.call(method, f"{path}?token={token}")
        self.assertEqual(self.confirm(token=token).status, 200)
