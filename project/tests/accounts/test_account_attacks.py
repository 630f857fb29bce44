"""Attacks on the recovery of an account, and with mail on people who have none."""

from datetime import timedelta
from threading import Thread
from typing import Any, ClassVar
from unittest import mock

import pytest
from sqlalchemy import select, text

from project.accounts import lifecycle, one_time_tokens, throttle
from project.accounts.email import change
from project.accounts.throttle import policies
from project.clock import utcnow
from project.extensions import db, transaction
from project.models import User
from project.tests.support import databases
from project.tests.support.mailbox import MailboxCase
from project.tests.support.throttling import ClientAt
from project.tests.utils import PASSWORD, Caller, Reply

A, B = "owner@members.net", "intruder@elsewhere.net"
CHANGE = "/auth/email/change"
RESET = "/auth/password/reset"


class AttackCase(MailboxCase):
    """An intruder has the owner's session and password."""

    overrides: ClassVar[dict[str, object]] = {"TOKEN_EXPIRATION_SECONDS": 3600}

    def setUp(self) -> None:
        super().setUp()
        self.owner: Caller = ClientAt(self.caller, "203.0.113.7")
        self.intruder: Caller = ClientAt(self.caller, "198.51.100.66")
        self.owner.register("owner", A, PASSWORD)
        self.token = self.intruder.login(A, PASSWORD).body["auth_token"]

    def change_address(self, address: str, token: str | None = None) -> None:
        """Change the address of an account as the intruder."""
        token = token or self.token
        asked = self.intruder.post(CHANGE, {"email": address}, token)
        self.assertEqual(asked.status, 202)
        code = {"code": self.mail("email_change", address)["code"]}
        self.assertEqual(self.intruder.post(f"{CHANGE}/confirm", code, token).status, 200)

    def disown(self, mail: Any) -> Reply:
        """Use the link "This was not me" of a mail."""
        return self.owner.post("/auth/disown", {"token": self.disown_token(mail)})

    def kinds(self, address: str) -> list[str]:
        """Return the kinds of the mails to an address."""
        return [mail["kind"] for mail in self.mails(address)]

    def set_verified(self, username: str) -> None:
        """Mark the address of a user as verified."""
        self.set_user(self.id_of(username), email_verified_at=utcnow())

    def id_of(self, username: str) -> int:
        """Return the id of a user."""
        with self.app.app_context():
            return db.session.scalars(select(User.id).where(User.username == username)).one()

    def address_of(self, username: str) -> str | None:
        """Return the stored address of a user."""
        with self.app.app_context():
            return db.session.scalar(select(User.email).where(User.username == username))


@pytest.mark.slow
class TestUndo(AttackCase):
    """The intruder changes the address and occupies the previous one with an account."""

    def test_the_link_remains_valid_after_the_occupying_account_was_erased(self) -> None:
        self.change_address(B)
        undo = self.mail("email_changed", A)
        self.intruder.register("occupier", A, PASSWORD)
        self.assertEqual(self.disown(undo).body["code"], "email_exists")
        self.assertEqual(self.disown(self.mail("email_verification", A)).status, 200)
        self.assertIsNone(self.address_of("occupier"))
        self.assertEqual(self.disown(undo).status, 200)
        self.assertEqual(self.address_of("owner"), A)

    def test_its_notice_is_sent_after_the_occupying_account_was_erased(self) -> None:
        self.intruder.post(CHANGE, {"email": B}, self.token)
        code = {"code": self.mail("email_change", B)["code"]}
        self.assertEqual(self.intruder.post(f"{CHANGE}/confirm", code, self.token).status, 200)
        token = self.intruder.register("occupier", A, PASSWORD).body["auth_token"]
        with mock.patch.dict(self.app.config, DELETION_GRACE=timedelta(0)):
            deleted = self.intruder.call("DELETE", "/auth/account", token=token)
        self.assertEqual(deleted.status, 200)
        self.assertEqual(self.disown(self.mail("email_changed", A)).status, 200)
        self.assertEqual(self.address_of("owner"), A)

    def test_the_link_of_an_earlier_notice_restores_the_address_too(self) -> None:
        passwords = {"current_password": PASSWORD, "password": "the intruder's password"}
        changed = self.intruder.post("/auth/password", passwords, self.token)
        self.change_address(B, changed.body["auth_token"])
        self.assertEqual(self.disown(self.mail("password_changed", A)).status, 200)
        self.assertEqual(self.address_of("owner"), A)
        self.assertEqual(self.kinds(A)[0], "password_reset")
        self.assertNotIn("password_reset", self.kinds(B))

    def test_the_link_of_an_earlier_notice_locks_the_account_of_an_occupied_address(self) -> None:
        passwords = {"current_password": PASSWORD, "password": PASSWORD}
        changed = self.intruder.post("/auth/password", passwords, self.token)
        self.change_address(B, changed.body["auth_token"])
        self.intruder.register("occupier", A, PASSWORD)
        notice = self.mail("password_changed", A)
        self.assertEqual(self.disown(notice).body["code"], "email_exists")
        self.assertEqual(self.intruder.login(B, PASSWORD).status, 404)
        self.assertEqual(self.disown(self.mail("email_verification", A)).status, 200)
        self.assertEqual(self.disown(notice).status, 200)
        self.assertEqual(self.address_of("owner"), A)

    def test_the_reset_is_sent_although_the_intruder_has_used_up_the_mails_of_the_day(self) -> None:
        self.set_verified("owner")
        passwords = {"current_password": PASSWORD, "password": "the intruder's password"}
        self.assertEqual(self.intruder.post("/auth/password", passwords, self.token).status, 200)
        notice = self.mail("password_changed", A)
        for number in range(policies.MAIL_DAY.limit.quota):
            stranger = ClientAt(self.caller, f"192.0.2.{number}")
            self.assertEqual(stranger.post(RESET, {"email": A}).status, 202)
        before = self.kinds(A).count("password_reset")
        self.owner = ClientAt(self.caller, "192.0.2.99")  # on a journey
        self.assertEqual(self.disown(notice).status, 200)
        self.assertEqual(self.kinds(A).count("password_reset"), before + 1)


class TestRegistration(AttackCase):
    """The link "This was not me" of a registration."""

    def test_it_does_not_delete_an_administrator(self) -> None:
        mail = self.mail("email_verification", A)
        self.set_user(self.id_of("owner"), admin=True)
        self.assertEqual(self.disown(mail).body["code"], "code_invalid")
        self.set_user(self.id_of("owner"), admin=False)
        self.assertEqual(self.disown(mail).status, 200)
        self.assertIsNone(self.address_of("owner"))


@pytest.mark.slow
class TestFlood(AttackCase):
    """The intruder has registered the address of a stranger, and causes notices to it."""

    def setUp(self) -> None:
        super().setUp()
        self.stranger = "stranger@members.net"
        registered = self.intruder.register("flooder", self.stranger, PASSWORD)
        self.token = registered.body["auth_token"]
        self.limit = policies.MAIL_NOTICE.limit.quota

    def notices(self, kind: str) -> int:
        """Return how many notices of a kind the stranger has got."""
        return self.kinds(self.stranger).count(kind)

    def change_passwords(self, token: str, number: int) -> None:
        """Change the password so often to the same one."""
        passwords = {"current_password": PASSWORD, "password": PASSWORD}
        for _ in range(number):
            token = self.intruder.post("/auth/password", passwords, token).body["auth_token"]

    def test_changes_of_the_password_send_ten_notices(self) -> None:
        self.change_passwords(self.token, self.limit + 2)
        self.assertEqual(self.notices("password_changed"), self.limit)

    def test_changes_of_the_address_send_ten_notices_to_the_first_one(self) -> None:
        for number in range(self.limit + 2):
            self.change_address(f"mailbox{number}@elsewhere.net")
        self.assertEqual(self.notices("email_changed"), self.limit)

    def test_a_verified_address_gets_every_notice(self) -> None:
        self.set_verified("flooder")
        self.change_passwords(self.token, self.limit + 2)
        self.assertEqual(self.notices("password_changed"), self.limit + 2)

    def test_one_kind_does_not_suppress_another(self) -> None:
        self.change_passwords(self.token, self.limit + 1)
        self.token = self.intruder.login(self.stranger, PASSWORD).body["auth_token"]
        self.change_address(B)
        self.assertEqual(self.notices("email_changed"), 1)

    def test_logins_from_many_networks_do_not_lift_the_limit_of_requested_mail(self) -> None:
        for number in range(2 * self.limit + 2):
            intruder = ClientAt(self.caller, f"192.0.2.{number}")
            self.assertEqual(intruder.login(self.stranger, PASSWORD).status, 200)
            self.assertEqual(intruder.post(RESET, {"email": self.stranger}).status, 202)
        self.assertEqual(self.notices("password_reset"), self.limit)
        owner = ClientAt(self.caller, "192.0.2.200")
        self.assertEqual(owner.post(RESET, {"email": self.stranger}).status, 202)
        self.assertEqual(self.notices("password_reset"), self.limit + 1)


class TestEnumeration(AttackCase):
    """A stranger watches the limits of mail to an address."""

    def test_an_erasure_does_not_lift_the_limits_of_requests(self) -> None:
        statuses = [self.intruder.post(RESET, {"email": A}).status for _ in range(2)]
        with self.app.app_context():
            lifecycle.remove(A)
        statuses.append(self.intruder.post(RESET, {"email": A}).status)
        self.assertEqual(statuses, [202, 429, 429])


class TestRaces(AttackCase):
    """Mail to an account that another request changes or erases at the same time."""

    overrides: ClassVar[dict[str, object]] = {"DATABASE_STATEMENT_TIMEOUT": timedelta(seconds=30)}

    def erasing(self, module: Any, step: str) -> Any:
        """Erase the owner's account before a step of a request, once."""
        real = getattr(module, step)

        def erase(*args: Any, **kwargs: Any) -> Any:
            if self.address_of("owner"):
                lifecycle.remove(A)
            return real(*args, **kwargs)

        return mock.patch.object(module, step, side_effect=erase)

    def test_mail_for_an_account_that_is_erased_meanwhile_is_an_error(self) -> None:
        with self.erasing(throttle, "count"):
            reply = self.intruder.post("/auth/email/verification", token=self.token)
        self.assertEqual((reply.status, reply.body["code"]), (401, "session_ended"))

    def test_an_account_that_is_erased_during_a_delivery_gets_no_mail(self) -> None:
        self.intruder.post(RESET, {"email": A})
        with self.erasing(throttle, "count"):
            self.assertNotIn("password_reset", self.kinds(A))

    def test_a_delivery_locks_the_account_before_its_token(self) -> None:
        if databases.kind() != "postgresql":
            self.skipTest("SQLite has one lock")
        self.intruder.post(RESET, {"email": A})
        delivery = Thread(target=self.deliver)
        with self.app.app_context(), transaction():
            account = change.lock(db.session.scalars(select(User.id)).one())
            assert account is not None
            delivery.start()
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not db.session.scalar(waiting):
                self.assertTrue(delivery.is_alive())
            one_time_tokens.invalidate(account.id, account.email_key)
        delivery.join()
