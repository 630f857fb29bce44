"""DELETE /auth/account, the grace period, and the erasure."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar
from unittest import mock

import time_machine
from sqlalchemy import select, update

from project.accounts import lifecycle, one_time_tokens, retention, suppression
from project.accounts.lifecycle import deletion
from project.accounts.messages import FAREWELL
from project.clock import utcnow
from project.commands import accounts
from project.delivery import claims
from project.extensions import db, transaction
from project.models import AuditEvent, OneTimeToken, Outbox, Outcome, Revocation, Session, User
from project.security import identifiers
from project.settings.mail_parsers import NO_MAIL
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, Reply

USERNAME = "Überflieger"
EMAIL = "Ada.Lovelace@exämple.com"
ACCOUNT = "/auth/account"
WEEK = timedelta(days=7)
RECENT = (401, "Please confirm your password first.", "reauthentication_required")
LAST = (409, "You are the last administrator. Create another one first.", "last_admin")


class DeletionCase(MailboxCase):
    """A user with rows in every table."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.caller.register(USERNAME, EMAIL, PASSWORD).body["auth_token"]
        self.user_id: int = self.caller.status(self.token).body["data"]["id"]

    def delete(self, token: str | None = None) -> Reply:
        """Delete the account of a token."""
        return self.caller.call("DELETE", ACCOUNT, token=token or self.token)

    def purge(self, after: timedelta = timedelta(0)) -> int:
        """Purge after this time; return the number of erased accounts."""
        with time_machine.travel(utcnow() + after), self.app.app_context():
            batches = list(retention.purge())
        return sum(batch.rows for batch in batches if batch.name == retention.DELETED_ACCOUNTS)

    def waiting(self) -> list[str]:
        """Return the kinds of the waiting messages."""
        with self.app.app_context():
            kinds = select(Outbox.kind).where(Outbox.done_at.is_(None))
            return sorted(kind.removeprefix("mail.") for kind in db.session.scalars(kinds))

    def events(self) -> list[str]:
        """Return the events of the account."""
        with self.app.app_context():
            recorded = select(AuditEvent.event).where(AuditEvent.user_id == self.user_id)
            return list(db.session.scalars(recorded.order_by(AuditEvent.id)))

    def traces(self) -> list[str]:
        """Return the columns that contain the address or the username."""
        names = [identifiers.email_key(EMAIL), identifiers.username_key(USERNAME)]
        names.append(EMAIL.casefold())
        with self.app.app_context():
            return [
                f"{table.name}.{column}: {value}"
                for table in db.metadata.sorted_tables
                for row in db.session.execute(select(table)).mappings()
                for column, value in row.items()
                if any(name in str(value).casefold() for name in names)
            ]


class TestRequest(DeletionCase):
    """The request deactivates the account."""

    def test_sessions_and_logins_end_at_once(self) -> None:
        login = self.caller.login(EMAIL, PASSWORD).body
        with time_machine.travel(utcnow(), tick=False):
            data = self.assert_success(self.delete(), 200, "Account deleted.")["data"]
            final_at = (utcnow() + WEEK).replace(microsecond=0)
        self.assertEqual(data["final_at"], final_at.isoformat().replace("+00:00", "Z"))
        for token in (self.token, login["auth_token"]):
            self.assertEqual(self.caller.status(token).body["code"], "user_inactive")
        refreshed = {"refresh_token": login["refresh_token"]}
        self.assertEqual(self.caller.post("/auth/refresh", refreshed).status, 401)
        with self.app.app_context():
            self.assertEqual(db.session.query(Revocation).count(), 2)
        self.assertEqual(self.events()[-1], "account_deletion.requested")

    def test_a_login_does_not_restore_the_account(self) -> None:
        self.delete()
        token = self.caller.login(EMAIL, PASSWORD).body["auth_token"]
        self.assertEqual(self.caller.status(token).body["code"], "user_inactive")
        self.assertEqual(self.purge(WEEK), 1)

    def test_deletion_requires_a_recent_authentication(self) -> None:
        self.assert_error(self.delete(self.add_token(self.user_id)), *RECENT)
        self.assertEqual(self.caller.status(self.token).status, 200)

    def test_waiting_mail_is_cancelled_except_the_farewell(self) -> None:
        self.caller.post("/auth/password/reset", {"email": EMAIL.lower()})
        self.assertEqual(self.waiting(), ["email_verification", "password_reset"])
        self.delete()
        self.assertEqual(self.waiting(), [FAREWELL])

    def test_codes_and_links_are_rejected(self) -> None:
        mail = self.mail("email_verification", EMAIL)
        self.caller.post("/auth/password/reset", {"email": EMAIL})
        link = self.token_of(self.mail("password_reset", EMAIL)["link"])
        self.delete()
        reset = {"token": link, "password": "a new password"}
        reply = self.caller.post("/auth/password/reset/confirm", reset)
        self.assertEqual((reply.status, reply.body["code"]), (400, "code_invalid"))
        verify = {"token": self.token_of(mail["link"]), "password": PASSWORD}
        self.assertEqual(self.caller.post("/auth/email/verification/confirm", verify).status, 400)

    def test_the_farewell_has_a_link_that_is_valid_for_the_grace_period(self) -> None:
        with mock.patch.dict(self.app.config, DELETION_GRACE=timedelta(days=30)):
            final_at = self.delete().body["data"]["final_at"]
        mail = self.mail(FAREWELL, EMAIL)
        self.assertIn(final_at[:16].replace("T", " "), mail["text"])
        token = self.disown_token(mail)
        with self.app.app_context(), time_machine.travel(utcnow() + timedelta(days=29)):
            self.assertEqual(one_time_tokens.by_disown_link(token).user_id, self.user_id)

    def test_deletion_and_rename_work_without_mail(self) -> None:
        waiting = self.waiting()
        with mock.patch.dict(self.app.config, MAIL_URL=NO_MAIL):
            changes = {"username": "ada"}
            self.assertEqual(self.caller.call("PATCH", ACCOUNT, changes, self.token).status, 200)
            self.assertIsNone(self.caller.get(ACCOUNT, self.token).body["data"]["pending_email"])
            self.assertEqual(self.waiting(), waiting)
            self.assertEqual(self.delete().status, 200)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(self.purge(WEEK), 1)

    def test_a_second_request_finds_no_account(self) -> None:
        real = deletion._check_other_admins
        self.set_user(self.user_id, admin=True)
        self.add_user("other", "other@example.com", admin=True)

        def deactivated(user_id: int) -> None:
            real(user_id)
            db.session.execute(update(User).where(User.id == user_id).values(active=False))

        with mock.patch.object(deletion, "_check_other_admins", deactivated):
            self.assertEqual(self.delete().body["code"], "session_ended")
        self.assertEqual(self.caller.status(self.token).status, 200)


class TestGrace(DeletionCase):
    """The time between the request and the erasure."""

    def test_the_account_is_erased_when_the_grace_period_ends(self) -> None:
        self.delete()
        self.assertEqual(self.purge(WEEK - timedelta(minutes=1)), 0)
        self.assertEqual(self.caller.register("x", EMAIL, PASSWORD).status, 400)
        self.assertEqual(self.purge(WEEK), 1)
        self.assertEqual(self.purge(WEEK), 0)
        self.assertEqual(self.events()[-1], "user.deleted")
        self.assertEqual(self.caller.register(USERNAME, EMAIL, PASSWORD).status, 201)

    def test_an_operator_can_restore_the_account(self) -> None:
        self.delete()
        with self.app.app_context():
            lifecycle.activate(EMAIL)
        self.assertEqual(self.purge(2 * WEEK), 0)
        token = self.caller.login(EMAIL, PASSWORD).body["auth_token"]
        self.assertEqual(self.caller.status(token).status, 200)
        self.assertEqual(self.caller.status(self.token).status, 401)

    def test_an_account_that_is_restored_meanwhile_is_not_erased(self) -> None:
        self.delete()
        with time_machine.travel(utcnow() + WEEK), self.app.app_context():
            self.set_user(self.user_id, active=True, deletion_requested_at=None)
            self.assertFalse(deletion._erase_if_due(self.user_id))
            self.assertEqual(deletion.erase_due(), 0)
        self.assertEqual(self.count(User), 1)

    def test_a_deactivated_account_is_not_erased(self) -> None:
        with self.app.app_context():
            lifecycle.deactivate(EMAIL)
        self.assertEqual(self.purge(10 * WEEK), 0)

    def test_the_link_does_not_undo_a_deactivation_by_an_operator(self) -> None:
        self.delete()
        disown = {"token": self.disown_token(self.mail(FAREWELL, EMAIL))}
        with self.app.app_context():
            lifecycle.deactivate(EMAIL)
        self.assertEqual(self.caller.post("/auth/disown", disown).body["code"], "code_invalid")
        self.assertEqual(self.purge(WEEK), 1)


class TestErasure(DeletionCase):
    """An erased account leaves neither its address nor its username."""

    def setUp(self) -> None:
        super().setUp()
        self.caller.login(EMAIL, "wrong")
        self.caller.login(EMAIL, PASSWORD)
        self.deliver()
        self.caller.post("/auth/password/reset", {"email": EMAIL.lower()})
        with self.app.app_context():
            with transaction():
                suppression.suppress(EMAIL)
            reset = update(Outbox).where(Outbox.kind == "mail.email_verification")
            failed = {"outcome": Outcome.FAILED, "recipient": EMAIL, "done_at": utcnow()}
            db.session.execute(reset.values(failed))
            db.session.commit()

    def assert_erased(self) -> None:
        """Assert that only the audit trail and the feed still have rows of the account."""
        self.assertEqual(self.traces(), [])
        with self.app.app_context():
            for table in db.metadata.sorted_tables:
                if "user_id" in table.c and table.name not in ("audit_events", "outbox"):
                    self.assertEqual(db.session.execute(select(table)).all(), [], table.name)
            self.assertEqual(db.session.query(OneTimeToken).count(), 0)
            scopes = db.session.execute(db.text("SELECT scope FROM throttle")).scalars().all()
        self.assertEqual([scope for scope in scopes if "account" in scope], [])
        self.assertEqual(self.waiting(), [])

    def test_a_purge_erases_the_account(self) -> None:
        self.assertGreater(len({trace.partition(".")[0] for trace in self.traces()}), 3)
        self.delete()
        self.assertEqual(self.purge(WEEK), 1)
        self.assert_erased()

    def test_a_purge_erases_the_address_of_a_rejected_farewell(self) -> None:
        self.delete()
        with self.app.app_context():
            message = claims.claim("mail.")
            assert message is not None
            claims.finish(message, Outcome.FAILED, "rcpt 550 5.1.1")
        self.purge(WEEK)
        self.assert_erased()

    def test_the_command_erases_the_account(self) -> None:
        accounts.delete_user(EMAIL, yes=True)
        self.assert_erased()

    def test_disowning_the_registration_erases_the_account(self) -> None:
        disown = {"token": self.disown_token(self.mail("email_verification", EMAIL))}
        self.assertEqual(self.caller.post("/auth/disown", disown).status, 200)
        self.assert_erased()
        self.assertEqual(self.events()[-2:], ["user.deleted", "notice.disowned"])

    def test_the_rows_of_another_account_remain(self) -> None:
        other = self.caller.register("other", "other@example.com", PASSWORD).body["auth_token"]
        self.caller.post("/auth/password/reset", {"email": "other@example.com"})
        accounts.delete_user(EMAIL, yes=True)
        self.assertEqual(self.waiting(), ["email_verification", "password_reset"])
        with self.app.app_context():
            self.assertEqual(db.session.query(OneTimeToken).count(), 3)
            self.assertEqual(db.session.query(Session).count(), 1)
        self.assertEqual(self.caller.get(ACCOUNT, other).status, 200)


class TestWithoutGrace(DeletionCase):
    """DELETION_GRACE is 0."""

    overrides: ClassVar[dict[str, object]] = {"DELETION_GRACE": "0"}

    def test_a_verified_account_is_erased_at_once_and_its_farewell_has_no_link(self) -> None:
        self.set_user(self.user_id, email_verified_at=utcnow())
        with time_machine.travel(utcnow(), tick=False):
            final_at = self.delete().body["data"]["final_at"]
            self.assertEqual(final_at[:19], utcnow().isoformat()[:19])
        self.assertEqual(self.count(User), 0)
        self.assertEqual(self.caller.status(self.token).body["code"], "session_ended")
        self.assertEqual(self.waiting(), [FAREWELL])
        self.assertNotIn("token=", self.mail(FAREWELL, EMAIL)["text"])
        self.assertEqual(self.traces(), [])
        self.assertEqual(self.events()[-2:], ["account_deletion.requested", "user.deleted"])

    def test_a_farewell_that_is_rejected_leaves_no_address(self) -> None:
        self.set_user(self.user_id, email_verified_at=utcnow())
        self.delete()
        with self.app.app_context():
            message = claims.claim("mail.")
            assert message is not None
            recipients = suppression.StoredRecipients()
            recipients.refused(message, recipients.resolve(message), "rcpt 550 5.1.1")
            claims.finish(message, Outcome.FAILED, "rcpt 550 5.1.1")
        self.assertEqual(self.traces(), [])

    def test_registering_and_deleting_sends_no_more_mail_than_the_limit(self) -> None:
        for number in range(12):
            self.deliver()
            self.assertEqual(self.delete().status, 200)
            self.deliver()
            reply = self.caller.register(f"user{number}", EMAIL, PASSWORD)
            self.token = reply.body["auth_token"]
        self.assertEqual(len(self.mails(EMAIL)), 10)


class TestLastAdmin(DeletionCase):
    """One active administrator remains."""

    overrides: ClassVar[dict[str, object]] = {"THROTTLE_ENABLED": False}

    def setUp(self) -> None:
        super().setUp()
        self.set_user(self.user_id, admin=True)

    def test_the_last_administrator_cannot_delete_the_account(self) -> None:
        self.add_user("inactive", "inactive@example.com", admin=True, active=False)
        self.assert_error(self.delete(), *LAST)
        self.assertEqual(self.caller.status(self.token).status, 200)
        self.add_user("other", "other@example.com", admin=True)
        self.assertEqual(self.delete().status, 200)

    def test_one_of_concurrently_deleted_administrators_remains(self) -> None:
        for number in range(3):
            self.add_user(f"admin{number}", f"admin{number}@example.com", admin=True)
        emails = [EMAIL, *(f"admin{number}@example.com" for number in range(3))]
        tokens = [self.caller.login(email, PASSWORD).body["auth_token"] for email in emails]
        barrier = Barrier(len(tokens))

        def delete(token: str) -> Any:
            barrier.wait(30)
            return self.delete(token).status

        with ThreadPoolExecutor(len(tokens)) as crowd:
            statuses = sorted(crowd.map(delete, tokens))
        self.assertEqual(statuses, [200, 200, 200, 409])

    def test_a_second_deletion_of_an_administrator_waits_for_the_first(self) -> None:
        """The second one starts in the middle of the first."""
        self.add_user("other", "other@example.com", admin=True)
        other = self.caller.login("other@example.com").body["auth_token"]
        real, started = deletion._check_other_admins, []

        def check(user_id: int) -> None:
            real(user_id)
            if user_id == self.user_id:
                started.append(crowd.submit(self.delete, other))

        with (
            ThreadPoolExecutor(1) as crowd,
            mock.patch.object(deletion, "_check_other_admins", check),
        ):
            self.assertEqual(self.delete().status, 200)
            self.assert_error(started[0].result(30), *LAST)
