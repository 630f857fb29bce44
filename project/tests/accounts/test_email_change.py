"""Changing the e-mail address and undoing the change, through HTTP."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from unittest import mock

import time_machine
from sqlalchemy import select

from project.accounts import email, one_time_tokens, throttle
from project.accounts.actors import Actor
from project.accounts.email import Addressee, change
from project.accounts.messages import Claimed, Recipient, Recipients
from project.accounts.throttle import policies
from project.accounts.throttle.policies import Subjects
from project.clock import utcnow
from project.extensions import db, get_component, transaction
from project.models import AuditEvent, Revocation, User
from project.security import identifiers
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, InProcess, Reply

CHANGE = "/auth/email/change"
CONFIRM = "/auth/email/change/confirm"
A, B, C = "michael@example.com", "second@example.com", "third@example.com"
NEW = "correct horse battery staple"
CODE_INVALID = (400, "That code is wrong or has expired.", "code_invalid")
EMAIL_EXISTS = (400, "Sorry. That email already exists.", "email_exists")


class EmailChangeCase(MailboxCase):
    """A user with a verified address, logged in."""

    overrides: ClassVar[dict[str, object]] = {"TOKEN_EXPIRATION_SECONDS": 3600}

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user(email_verified_at=utcnow())
        self.token = self.caller.login().body["auth_token"]

    def request(self, address: str = B, session: str | None = None) -> Reply:
        """Request a change of the address."""
        return self.caller.post(CHANGE, {"email": address}, session or self.token)

    def confirm(self, session: str | None = None, **proof: str) -> Reply:
        """Confirm with a code or a link's token."""
        return self.caller.post(CONFIRM, proof, session)

    def change(self, address: str) -> None:
        """Change the address by code."""
        self.assertEqual(self.request(address).status, 202)
        code = self.mail("email_change", address)["code"]
        self.assertEqual(self.confirm(self.token, code=code).status, 200)

    def disown(self, mail: Any) -> Reply:
        """Use the link "This was not me" of a mail."""
        return self.caller.post("/auth/disown", {"token": self.disown_token(mail)})

    def kinds(self, address: str) -> list[str]:
        """Return the kinds of the mails to an address, newest first."""
        return [mail["kind"] for mail in self.mails(address)]

    def user(self, user_id: int | None = None) -> User:
        """Return the account as stored."""
        with self.app.app_context():
            return db.session.get_one(User, user_id or self.user_id)

    def events(self) -> list[str]:
        """Return the audit trail."""
        with self.app.app_context():
            return list(db.session.scalars(select(AuditEvent.event).order_by(AuditEvent.id)))

    def pending(self) -> str | None:
        """Return the new address of the pending change."""
        with self.app.app_context():
            return change.pending(self.user_id)


class TestChange(EmailChangeCase):
    """POST /auth/email/change and /confirm."""

    def test_the_code_changes_the_address_and_ends_the_other_sessions(self) -> None:
        other = self.caller.login().body["auth_token"]
        body = self.assert_success(self.request(), 202, "A mail is on its way.")
        self.assertEqual(body["data"], {"pending_email": B, "expires_in": 86400})
        self.assertEqual((self.pending(), self.user().email), (B, A))
        code = self.mail("email_change", B)["code"]
        data = self.assert_success(self.confirm(self.token, code=code), 200)["data"]
        self.assertEqual((data["email"], data["email_verified"]), (B, True))
        self.assertEqual(self.caller.status(self.token).body["data"]["email"], B)
        self.assertEqual(self.caller.status(other).status, 401)
        self.assertEqual((self.caller.login(A).status, self.caller.login(B).status), (404, 200))
        self.assertIsNone(self.pending())
        self.assertEqual(self.kinds(A)[:2], ["email_changed", "email_change_requested"])
        self.assert_error(self.confirm(self.token, code=code), *CODE_INVALID)
        with self.app.app_context():
            self.assertEqual(db.session.query(Revocation).count(), 1)
        recorded = [event for event in self.events() if event.startswith("email")]
        self.assertEqual(recorded, ["email_change.requested", "email.changed"])

    def test_the_link_requires_the_password_and_ends_all_sessions(self) -> None:
        self.request()
        token = self.token_of(self.mail("email_change", B)["link"])
        reply = self.confirm(token=token, password="wrong")
        self.assert_error(reply, 403, "The current password is wrong.", "password_wrong")
        self.assert_field_errors(self.confirm(token=token), ("", "proof_missing"))
        self.assertEqual(self.user().email, A)
        self.assertEqual(self.confirm(token=token, password=PASSWORD).status, 200)
        self.assertEqual(self.user().email, B)
        self.assertEqual(self.caller.status(self.token).status, 401)

    def test_a_code_requires_a_session_of_its_account(self) -> None:
        self.request()
        code = self.mail("email_change", B)["code"]
        self.assertEqual(self.confirm(code=code).body["code"], "token_missing")
        other = self.caller.register("other", C, PASSWORD).body["auth_token"]
        self.assert_error(self.confirm(other, code=code), *CODE_INVALID)
        self.assertEqual(self.user().email, A)

    def test_a_change_requires_recent_authentication(self) -> None:
        with time_machine.travel(utcnow() + timedelta(minutes=11)):
            self.assertEqual(self.caller.status(self.token).status, 200)
            self.assertEqual(self.request().body["code"], "reauthentication_required")

    def test_an_unverified_address_gets_no_notice_of_a_request(self) -> None:
        self.set_user(self.user_id, email_verified_at=None)
        self.request()
        self.assertNotIn("email_change_requested", self.kinds(A))
        self.assertEqual(self.kinds(B), ["email_change"])

    def test_the_spelling_of_the_address_can_be_changed(self) -> None:
        self.change("Michael@Example.com")
        self.assertEqual(self.user().email, "Michael@Example.com")
        self.assertNotIn("email_changed", self.kinds(A))

    def test_a_new_request_replaces_the_pending_one(self) -> None:
        self.request(B)
        first = self.mail("email_change", B)
        self.request(C)
        self.assertEqual(self.pending(), C)
        self.assert_error(self.confirm(self.token, code=first["code"]), *CODE_INVALID)
        link = {"token": self.token_of(first["link"]), "password": PASSWORD}
        self.assert_error(self.confirm(**link), *CODE_INVALID)

    def test_a_pending_change_can_be_cancelled(self) -> None:
        self.request()
        code = self.mail("email_change", B)["code"]
        for _ in range(2):
            reply = self.caller.call("DELETE", CHANGE, token=self.token)
            self.assert_success(reply, 200, "The address stays the same.")
        self.assertIsNone(self.pending())
        self.assert_error(self.confirm(self.token, code=code), *CODE_INVALID)

    def test_a_cancelled_change_sends_no_mail(self) -> None:
        self.request()
        self.caller.call("DELETE", CHANGE, token=self.token)
        self.assertEqual(self.kinds(B), [])

    def test_a_change_invalidates_every_other_token_of_the_account(self) -> None:
        self.caller.post("/auth/password/reset", {"email": A})
        reset = self.token_of(self.mail("password_reset")["link"])
        self.change(B)
        payload = {"token": reset, "password": NEW}
        reply = self.caller.post("/auth/password/reset/confirm", payload)
        self.assert_error(reply, *CODE_INVALID)

    def test_a_reset_cancels_the_change_of_an_intruder(self) -> None:
        self.request()
        mail = self.mail("email_change", B)
        self.caller.post("/auth/password/reset", {"email": A})
        payload = {"token": self.token_of(self.mail("password_reset")["link"]), "password": NEW}
        self.assertEqual(self.caller.post("/auth/password/reset/confirm", payload).status, 200)
        self.assertIsNone(self.pending())
        token = self.caller.login(password=NEW).body["auth_token"]
        self.assert_error(self.confirm(token, code=mail["code"]), *CODE_INVALID)
        for password in (PASSWORD, NEW):
            link = {"token": self.token_of(mail["link"]), "password": password}
            self.assert_error(self.confirm(**link), *CODE_INVALID)
        self.assertEqual(self.user().email, A)

    def test_a_reset_during_a_request_leaves_no_change_pending(self) -> None:
        self.caller.post("/auth/password/reset", {"email": A})
        payload = {"token": self.token_of(self.mail("password_reset")["link"]), "password": NEW}
        real = throttle.count

        def then(*args: Any, **kwargs: Any) -> None:
            real(*args, **kwargs)
            reply = self.caller.post("/auth/password/reset/confirm", payload)
            self.assertEqual(reply.status, 200)

        with mock.patch.object(throttle, "count", side_effect=then):
            client = InProcess(self.app.test_client())
            reply = client.post(CHANGE, {"email": B}, self.token)
        self.assertEqual(reply.body["code"], "session_ended")
        self.assertIsNone(self.pending())

    def test_the_new_address_gets_ten_mails_a_day(self) -> None:
        subjects = Subjects(Actor("192.0.2.1", "tests"), identifiers.email_key(B))
        for number in range(policies.MAIL_DAY.limit.quota):
            if number == 1:
                self.assertEqual(self.request().status, 202)
                self.assertEqual(self.kinds(B), ["email_change"])
            else:
                throttle.count(policies.MAIL_DELIVERY, subjects=subjects)
        with mock.patch.dict(self.app.config, THROTTLE_ENABLED=False):
            self.assertEqual(self.request().status, 202)
        self.assertEqual(len(self.kinds(B)), 1)

    def test_no_setting_skips_the_proof(self) -> None:
        for mode in ("off", "optional", "required"):
            for throttled in (True, False):
                settings = {"EMAIL_VERIFICATION": mode, "THROTTLE_ENABLED": throttled}
                with mock.patch.dict(self.app.config, settings):
                    address = f"{mode}-{throttled}@example.com".lower()
                    self.assertEqual(self.request(address).status, 202)
                    for proof in ({"code": "BBBB-BBBB"}, {"token": "A" * 43, "password": PASSWORD}):
                        reply = self.confirm(self.token, **proof)
                        self.assert_error(reply, *CODE_INVALID)
                self.assertEqual(self.user().email, A)

    def test_a_rejected_new_address_does_not_mark_the_account(self) -> None:
        recipients = get_component(Recipients, self.app)  # type: ignore[type-abstract]
        message = mock.Mock(spec=Claimed, kind="mail.email_change")
        recipients.refused(message, Recipient(B, self.user_id), "rcpt 550 5.1.1")
        self.assertIsNone(self.user().mail_refused_at)
        recipients.refused(message, Recipient(A, self.user_id), "rcpt 550 5.1.1")
        self.assertIsNotNone(self.user().mail_refused_at)


class TestRegisteredAddress(EmailChangeCase):
    """The new address belongs to another account."""

    def setUp(self) -> None:
        super().setUp()
        self.other_id = self.add_user("other", B)

    def test_the_response_and_the_statements_are_the_same(self) -> None:
        self.request("warm@example.com")  # what is cached is made
        free = "nobody@example.com"
        replies: list[Reply] = []

        def request(address: str) -> Reply:
            replies.append(self.request(address))
            return replies[-1]

        statements = [
            self.statements_of(partial(request, address), status)
            for status in (202, 429)
            for address in (B, free)
        ]
        self.assertEqual(statements[0], statements[1])
        self.assertEqual(statements[2], statements[3])
        self.assertEqual(replies[0].raw, replies[1].raw.replace(free.encode(), B.encode()))
        self.assertEqual(replies[2].raw, replies[3].raw)
        names = [sorted(reply.headers.keys()) for reply in replies]
        self.assertEqual((names[0], names[2]), (names[1], names[3]))

    def test_the_owner_gets_a_notice_once_a_day_and_no_code(self) -> None:
        for minutes in (0, 2, 4):
            with time_machine.travel(utcnow() + timedelta(minutes=minutes)):
                self.assertEqual(self.request().status, 202)
                self.assertEqual(self.kinds(B), ["email_change_attempted"])
        self.assertEqual(self.pending(), B)

    def test_an_inactive_account_gets_no_notice(self) -> None:
        self.set_user(self.other_id, active=False)
        self.request()
        self.assertEqual(self.kinds(B), [])

    def test_the_first_of_two_changes_to_one_address_succeeds(self) -> None:
        other = self.caller.login(B).body["auth_token"]
        self.request(C)
        first = self.mail("email_change", C)["code"]
        with time_machine.travel(utcnow() + timedelta(minutes=2)):
            self.request(C, other)
            second = self.mail("email_change", C)["code"]
            self.assertEqual(self.confirm(other, code=second).status, 200)
            self.assert_error(self.confirm(self.token, code=first), *EMAIL_EXISTS)
        self.assertEqual((self.user().email, self.user(self.other_id).email), (A, C))

    def test_an_address_that_is_registered_meanwhile_is_not_available(self) -> None:
        self.request(C)
        code = self.mail("email_change", C)["code"]
        third_id = self.add_user("third", C)
        self.assert_error(self.confirm(self.token, code=code), *EMAIL_EXISTS)
        self.delete_user(third_id)
        self.assertEqual(self.confirm(self.token, code=code).status, 200)


class TestUndo(EmailChangeCase):
    """POST /auth/disown with the notices of a change."""

    def assert_restored(self) -> None:
        """Assert that the account has its address, and is locked until a reset."""
        user = self.user()
        self.assertEqual((user.email, user.email_key, user.password), (A, A, "!"))
        self.assertEqual(self.caller.status(self.token).status, 401)
        self.assertEqual(self.caller.login().status, 404)
        self.assertEqual(self.kinds(A)[0], "password_reset")

    def test_the_notice_of_a_request_cancels_the_change(self) -> None:
        self.request()
        code = self.mail("email_change", B)["code"]
        self.assertEqual(self.disown(self.mail("email_change_requested")).status, 200)
        self.assertIsNone(self.pending())
        self.assert_error(self.confirm(self.token, code=code), *CODE_INVALID)
        self.assertEqual(self.caller.status(self.token).status, 200)

    def test_the_notice_of_a_request_undoes_a_confirmed_change(self) -> None:
        self.change(B)
        self.assertEqual(self.disown(self.mail("email_change_requested")).status, 200)
        self.assert_restored()

    def test_the_first_address_is_restored_after_several_changes(self) -> None:
        self.change(B)
        self.change(C)
        self.assertEqual(self.kinds(A).count("email_changed"), 2)
        later = [mail for mail in self.mails(B) if "/not-me" in mail["text"]]
        self.assertEqual(self.disown(self.mail("email_changed")).status, 200)
        self.assert_restored()
        self.assertEqual(self.kinds(C)[0], "email_changed")
        self.assertNotIn("/not-me", self.mails(C)[0]["text"])
        self.assertEqual(len(later), 2)
        for mail in later:
            self.assert_error(self.disown(mail), *CODE_INVALID)
        self.assertIn("email.restored", self.events())
        reset = {"token": self.token_of(self.mail("password_reset")["link"]), "password": NEW}
        self.assertEqual(self.caller.post("/auth/password/reset/confirm", reset).status, 200)
        self.assertEqual(self.caller.login(password=NEW).status, 200)

    def test_the_undo_also_restores_an_account_deleted_after_the_change(self) -> None:
        self.change(B)
        deleted = self.caller.call("DELETE", "/auth/account", token=self.token)
        self.assertEqual(deleted.status, 200)
        self.assertEqual(self.disown(self.mail("email_changed")).status, 200)
        self.assertEqual((self.user().active, self.user().deletion_requested_at), (True, None))
        self.assert_restored()

    def test_the_first_address_takes_precedence_over_the_second(self) -> None:
        self.change(B)
        self.change(C)
        self.assertEqual(self.disown(self.mail("email_changed", B)).status, 200)
        self.assertEqual(self.user().email, B)
        self.assertEqual(self.disown(self.mail("email_changed", A)).status, 200)
        self.assert_restored()

    def test_a_change_back_does_not_disable_the_link(self) -> None:
        self.change(B)
        undo = self.mail("email_changed")
        self.change(A)
        self.assertEqual(self.disown(undo).status, 200)
        self.assert_restored()
        self.assert_error(self.disown(self.mail("email_changed", B)), *CODE_INVALID)

    def test_a_link_expires_after_seven_days(self) -> None:
        self.change(B)
        undo = self.mail("email_changed")
        with time_machine.travel(utcnow() + timedelta(days=7)):
            self.assert_error(self.disown(undo), *CODE_INVALID)

    def test_an_address_that_another_account_has_is_not_restored(self) -> None:
        self.change(B)
        undo = self.mail("email_changed")
        other_id = self.add_user("other", A)
        self.assert_error(self.disown(undo), *EMAIL_EXISTS)
        self.assertEqual((self.user().email, self.user().password), (B, "!"))
        self.assertEqual(self.caller.status(self.token).status, 401)
        self.assertEqual(self.kinds(A)[0], "email_change_attempted")
        self.assertEqual(self.kinds(B)[0], "password_reset")
        self.delete_user(other_id)
        self.assertEqual(self.disown(undo).status, 200)
        self.assert_restored()


class TestOtherNotices(EmailChangeCase):
    """POST /auth/disown with the notices of other operations."""

    def notify(self, kind: str) -> Any:
        """Queue and deliver a notice; return the mail."""
        with self.app.app_context(), transaction():
            email.notify(kind, Addressee(self.user_id, A, None), Actor("192.0.2.1", "tests"))
        return self.mail(kind)

    def test_the_notice_of_a_changed_username_locks_the_account(self) -> None:
        self.assertEqual(self.disown(self.notify("username_changed")).status, 200)
        self.assertEqual(self.caller.status(self.token).status, 401)
        self.assertEqual(self.user().password, "!")
        self.assertEqual(self.kinds(A)[0], "password_reset")

    def test_the_farewell_reactivates_the_account_without_its_sessions(self) -> None:
        mail = self.notify("account_deleted")
        self.set_user(self.user_id, active=False, deletion_requested_at=utcnow())
        self.assertEqual(self.caller.status(self.token).body["code"], "user_inactive")
        self.assertEqual(self.disown(mail).status, 200)
        user = self.user()
        self.assertEqual((user.active, user.deletion_requested_at), (True, None))
        self.assertIn("user.activated", self.events())
        self.assert_error(self.disown(mail), *CODE_INVALID)

    def test_the_farewell_does_not_reactivate_a_deactivated_account(self) -> None:
        mail = self.notify("account_deleted")
        self.set_user(self.user_id, active=False)
        self.assert_error(self.disown(mail), *CODE_INVALID)
        self.assertFalse(self.user().active)


class TestRaces(EmailChangeCase):
    """Operations on one account at the same time."""

    def confirm_beside(self, code: str) -> Reply:
        """Confirm with a client of its own."""
        client = InProcess(self.app.test_client())
        return client.post(CONFIRM, {"code": code}, self.token)

    def test_only_one_of_parallel_confirmations_succeeds(self) -> None:
        self.request()
        code = self.mail("email_change", B)["code"]
        with ThreadPoolExecutor(8) as threads:
            replies = list(threads.map(self.confirm_beside, [code] * 20))
        statuses = [reply.status for reply in replies]
        self.assertEqual(statuses.count(200), 1, statuses)
        self.assertLessEqual(set(statuses), {200, 400, 503})
        self.assertEqual(self.events().count("email.changed"), 1)
        self.assertEqual(self.kinds(A).count("email_changed"), 1)

    def test_an_undo_before_the_transaction_of_a_confirmation(self) -> None:
        self.change(B)
        undo = self.mail("email_changed")
        self.request(C)
        code = self.mail("email_change", C)["code"]
        real = one_time_tokens.by_user

        def then(*args: Any) -> Any:
            token = real(*args)
            self.assertEqual(self.disown(undo).status, 200)
            return token

        with mock.patch.object(one_time_tokens, "by_user", side_effect=then):
            self.assert_error(self.confirm_beside(code), *CODE_INVALID)
        self.assert_restored()

    def test_an_undo_during_the_transaction_of_a_confirmation(self) -> None:
        self.change(B)
        undo = self.mail("email_changed")
        self.request(C)
        code = self.mail("email_change", C)["code"]
        undone: list[Future[Reply]] = []
        real: Callable[..., None] = change._set_address
        with ThreadPoolExecutor(1) as threads:

            def then(*args: Any) -> None:
                if not undone:
                    undone.append(threads.submit(self.disown, undo))
                real(*args)

            with mock.patch.object(change, "_set_address", side_effect=then):
                self.assertEqual(self.confirm_beside(code).status, 200)
                self.assertEqual(undone[0].result(30).status, 200)
        self.assert_restored()

    def assert_restored(self) -> None:
        """Assert that the account has its address and no session."""
        self.assertEqual(self.user().email, A)
        self.assertIsNone(self.pending())
        self.assertEqual(self.caller.status(self.token).status, 401)
