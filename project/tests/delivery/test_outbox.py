"""The outbox: nothing is lost, nothing is sent that was not committed, everything ends."""

import threading
from datetime import timedelta
from unittest import mock

import time_machine
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from project.accounts import outbox, suppression
from project.clock import utcnow
from project.delivery import claims, loop
from project.delivery.outcomes import DeliveryError
from project.extensions import db, transaction
from project.models import AuditEvent, Outbox
from project.tests.delivery.case import DeliveryCase, payload
from project.tests.support.smtp import DROP, DROP_AFTER_ACCEPTING, HANG

SECOND = timedelta(seconds=1)


class TestQueue(DeliveryCase):
    """The step, which belongs to the caller's transaction."""

    def test_a_committed_message_is_sent_once(self) -> None:
        message = self.queue()
        self.deliver(1)
        self.deliver(0)
        self.assertEqual(self.server.recipients, ["ada@members.net"])
        self.assert_done(message, "sent")

    def test_a_message_that_is_rolled_back_is_not_sent(self) -> None:
        woken = mock.Mock()
        with (
            mock.patch.object(outbox, "on_commit", [woken]),
            self.assertRaises(ZeroDivisionError),
            transaction(),
        ):
            outbox.queue(
                "mail.password_changed",
                recipient="ada@members.net",
                language="en",
                payload=payload(),
                expires_at=utcnow() + SECOND,
            )
            raise ZeroDivisionError
        self.deliver(0)
        woken.assert_not_called()

    def test_the_commit_wakes_the_delivery(self) -> None:
        woken = mock.Mock()
        with mock.patch.object(outbox, "on_commit", [woken]):
            self.queue()
        woken.assert_called_once_with()

    def test_a_delayed_message_is_sent_when_it_is_due(self) -> None:
        message = self.queue(delay=timedelta(minutes=5))
        self.deliver(0)
        with time_machine.travel(utcnow() + timedelta(minutes=5, seconds=1)):
            self.deliver(1)
            self.assert_done(message, "sent")

    def test_a_cancelled_message_is_never_sent(self) -> None:
        message, other = self.queue(user_id=1), self.queue(user_id=2)
        self.assertEqual(outbox.cancel(Outbox.user_id == 1, reason="reset"), 1)
        db.session.commit()
        self.deliver(1)
        self.assert_done(message, "cancelled", "reset")
        self.assert_done(other, "sent")

    def test_messages_are_sent_in_the_order_in_which_they_were_queued(self) -> None:
        expected = [f"user{number}@members.net" for number in range(5)]
        for recipient in expected:
            self.queue(recipient)
        self.deliver(5)
        self.assertEqual(self.server.recipients, expected)


class TestClaims(DeliveryCase):
    """Messages of a process that is killed or too slow."""

    def test_a_message_of_a_killed_process_is_sent_after_its_lease(self) -> None:
        message = self.queue()
        self.assertIsNotNone(claims.claim("mail."))
        self.deliver(0)
        with time_machine.travel(utcnow() + claims.LEASE + SECOND):
            self.deliver(1)
            self.assert_done(message, "sent")

    def test_two_processes_claim_different_messages(self) -> None:
        self.queue()
        self.assertIsNotNone(claims.claim("mail."))
        self.assertIsNone(claims.claim("mail."))

    def test_messages_with_another_prefix_are_not_claimed(self) -> None:
        self.queue()
        self.assertIsNone(claims.claim("webhook."))

    def test_a_process_that_lost_its_lease_changes_nothing(self) -> None:
        self.queue()
        late = claims.claim("mail.")
        with time_machine.travel(utcnow() + claims.LEASE + SECOND):
            self.deliver(1)
        assert late is not None
        for change in (claims.release(late), claims.defer(late, "x")):
            self.assertFalse(change)
        self.assertEqual(self.row(late.id).outcome, "sent")

    def test_a_duplicate_has_the_same_bytes(self) -> None:
        self.server.replies["message"] = DROP_AFTER_ACCEPTING
        message = self.queue(kind="password_reset")
        self.deliver(0)
        del self.server.replies["message"]
        with time_machine.travel(utcnow() + timedelta(seconds=11)):
            self.deliver(1)
        first, second = self.server.received
        self.assertEqual(first, second)
        self.assertIn(str(message), first.parsed["Message-ID"])

    def test_a_message_that_keeps_killing_its_process_fails(self) -> None:
        message, now = self.queue(), utcnow()
        for number in range(loop.MAX_CLAIMS):
            with time_machine.travel(now + number * (claims.LEASE + SECOND)):
                self.assertIsNotNone(claims.claim("mail."))
        with time_machine.travel(now + loop.MAX_CLAIMS * (claims.LEASE + SECOND)):
            self.deliver(1)
        self.assert_done(message, "failed", "claimed 20 times without an outcome")
        self.assertEqual(self.server.received, [])

    def test_a_message_that_is_deferred_for_days_does_not_fail(self) -> None:
        self.server.replies["rcpt"] = "451 4.7.1 greylisted"
        message, now = self.queue(expires_at=utcnow() + timedelta(days=9)), utcnow()
        for number in range(loop.MAX_CLAIMS + 5):
            with time_machine.travel(now + number * timedelta(hours=1, seconds=1)):
                self.deliver(0)
        self.assertIsNone(self.row(message).done_at)

    def test_an_error_in_one_message_does_not_stop_the_others(self) -> None:
        broken, sound = self.queue(payload={}), self.queue()
        with self.assertLogs("project.delivery.loop", "ERROR"):
            self.deliver(1)
        self.assert_waits(broken, 5, 10, attempts=1)
        self.assertEqual(self.row(broken).reason, "make KeyError")
        self.assert_done(sound, "sent")


class TestStages(DeliveryCase):
    """Failures at each stage."""

    def test_a_failure_before_rcpt_is_not_an_attempt_of_the_message(self) -> None:
        for stage, reply, reason in (
            ("greeting", "421 4.3.2 closing", "greeting 421 4.3.2"),
            ("ehlo", DROP, "ehlo connection lost"),
            ("mail", "452 4.3.1 full", "mail 452 4.3.1"),
            ("mail", "550 5.7.1 who are you", "mail 550 5.7.1"),
        ):
            with self.subTest(stage, reply=reply):
                self.server.replies = {stage: reply}
                self.deliverer = self.new_deliverer()
                message = self.queue()
                was_due_at = self.row(message).due_at
                with self.assertLogs("project.delivery.loop", "WARNING") as logged:
                    self.deliver(0)
                self.assertEqual(logged.records[0].reason, reason)  # type: ignore[attr-defined]
                row = self.row(message)
                self.assertEqual((row.attempts, row.lease, row.due_at), (0, None, was_due_at))
                before = self.server.connections
                self.deliver(0)
                self.assertEqual(self.server.connections, before)
                outbox.cancel_all(Outbox.id == message, reason="")

    def test_an_outage_of_two_hours_fails_no_message_and_keeps_the_order(self) -> None:
        self.server.replies["mail"] = "451 4.3.0 not now"
        expected = [f"user{number}@members.net" for number in range(4)]
        notices = [self.queue(recipient) for recipient in expected]
        code = self.queue(kind="email_login")
        now, tries = utcnow(), 0
        with self.assertLogs("project.delivery.loop", "WARNING") as logged:
            for minutes in range(0, 120, 3):
                with time_machine.travel(now + timedelta(minutes=minutes)):
                    before = self.server.commands["mail"]
                    self.deliver(0)
                    tries += self.server.commands["mail"] > before
        self.assertEqual(len(logged.records), 1)
        self.assertGreater(tries, 15)
        self.server.replies.clear()
        with time_machine.travel(now + timedelta(hours=2, minutes=6)):
            self.deliver(5)
        self.assertEqual(self.server.recipients, expected)
        self.assert_done(code, "expired")
        for notice in notices:
            self.assertEqual(self.row(notice).attempts, 1)

    def test_a_message_to_a_rejected_recipient_fails_at_once(self) -> None:
        self.server.replies["rcpt"] = "550 5.2.1 ada@members.net is disabled"
        message = self.queue()
        self.deliver(1)
        self.assert_done(message, "failed", "rcpt 550 5.2.1")
        self.assertFalse(suppression.is_suppressed("ada@members.net"))

    def test_an_unknown_mailbox_is_suppressed(self) -> None:
        self.server.replies["rcpt"] = "550 5.1.1 no such user"
        message = self.queue(user_id=7)
        self.deliver(1)
        self.assert_done(message, "failed", "rcpt 550 5.1.1")
        self.server.replies.clear()
        again = self.queue("Ada@members.net")
        self.deliver(1)
        self.assert_done(again, "skipped", "suppressed")
        event = db.session.scalars(select(AuditEvent)).one()
        self.assertEqual((event.event, event.user_id), ("mail.failed", 7))
        with time_machine.travel(utcnow() + timedelta(days=31)):
            late = self.queue()
            self.deliver(1)
            self.assert_done(late, "sent")

    def test_a_rejected_sender_suppresses_nobody(self) -> None:
        self.server.replies["rcpt"] = "550 5.1.8 bad sender"
        self.queue()
        self.deliver(1)
        self.assertFalse(suppression.is_suppressed("ada@members.net"))

    def test_a_message_with_rejected_content_fails(self) -> None:
        for stage in ("data", "message"):
            self.server.replies = {stage: "554 5.6.0 no"}
            message = self.queue()
            self.deliver(1)
            self.assert_done(message, "failed", "data 554 5.6.0")

    def test_temporary_rejections_are_retried_with_growing_delays(self) -> None:
        self.server.replies["rcpt"] = "451 4.7.1 greylisted"
        message, other, now = self.queue(), self.queue("bob@members.net"), utcnow()
        waits = []
        for attempt in range(1, 10):
            with time_machine.travel(now, tick=False):
                self.deliver(0)
                self.assertEqual(self.row(other).attempts, attempt)
                waits.append((self.row(message).due_at - now).total_seconds())
                now = self.row(message).due_at + SECOND
        self.assertEqual(waits, [10, 30, 60, 120, 300, 900, 1800, 3600, 3600])
        self.assertEqual(self.row(message).reason, "rcpt 451 4.7.1")
        self.assertEqual(self.deliverer.failures, 0)

    def test_a_lost_connection_defers_the_message(self) -> None:
        self.server.replies["rcpt"] = lambda line: DROP if "bad" in line else "250 ok"
        message, other = self.queue("bad@members.net"), self.queue()
        self.deliver(1)
        self.assert_waits(message, 5, 10, attempts=1)
        self.assert_done(other, "sent")

    def test_an_unreachable_server_is_not_an_attempt_of_the_message(self) -> None:
        self.app.config["MAIL_URL"] = self.app.config["MAIL_URL"].__class__(
            "smtp+plain", "127.0.0.1", 1
        )
        self.deliverer = self.new_deliverer()
        message = self.queue()
        with self.assertLogs("project.delivery.loop", "WARNING") as logged:
            self.deliver(0)
        self.assertEqual(logged.records[0].reason, "connect Connection refused")  # type: ignore[attr-defined]
        self.assertEqual(self.row(message).attempts, 0)

    def test_the_recovery_is_logged_once(self) -> None:
        self.server.replies["mail"] = "451 4.3.0 not now"
        self.queue()
        with self.assertLogs("project.delivery.loop", "WARNING"):
            self.deliver(0)
        self.server.replies.clear()
        with (
            self.assertLogs("project.delivery.loop", "WARNING") as logged,
            time_machine.travel(utcnow() + timedelta(seconds=2)),
        ):
            self.deliver(1)
        self.assertEqual([one.getMessage() for one in logged.records], ["delivery works again"])

    def test_a_clock_that_is_set_back_does_not_stop_delivery(self) -> None:
        with time_machine.travel(utcnow() + timedelta(days=1)), self.assertLogs("project.delivery"):
            self.deliverer._fail("x")
        self.queue()
        self.deliver(1)


class TestLoop(DeliveryCase):
    """Several processes, as threads of one."""

    def run_in_background(self, deliverer: loop.Deliverer) -> threading.Thread:
        """Run a deliverer until the test ends."""
        thread = threading.Thread(target=deliverer.run, daemon=True)
        thread.start()

        def end() -> None:
            self.server.released.set()
            deliverer.stop()
            thread.join(10)
            self.assertFalse(thread.is_alive())

        self.addCleanup(end)
        return thread

    def test_a_hanging_recipient_delays_no_other_message(self) -> None:
        def reply(line: str) -> str:
            kinds = {"slow": HANG, "gone": "550 5.2.0 no", "busy": "451 4.3.0 later"}
            return next((said for name, said in kinds.items() if name in line), "250 ok")

        self.server.replies["rcpt"] = reply
        hanging = self.queue("slow@members.net")
        gone, busy = self.queue("gone@members.net"), self.queue("busy@members.net")
        expected = [f"user{number}@members.net" for number in range(8)]
        for recipient in expected:
            self.queue(recipient)
        for _ in range(2):
            self.run_in_background(self.new_deliverer())
        self.assertTrue(self.server.wait_for(len(expected), seconds=8))
        self.assertEqual(sorted(self.server.recipients), expected)
        self.assertIsNone(self.row(hanging).done_at)
        self.assert_done(gone, "failed", "rcpt 550 5.2.0")
        self.assert_waits(busy, 1, 10, attempts=1)

    def test_a_committed_message_is_sent_at_once_and_before_the_shutdown(self) -> None:
        thread = self.run_in_background(self.deliverer)
        self.queue("one@members.net")
        self.assertTrue(self.server.wait_for(1, seconds=8))
        self.server.replies["message"] = lambda _: self.deliverer.stop() or "250 ok"  # type: ignore[func-returns-value]
        last = self.queue("two@members.net")
        thread.join(10)
        never = self.queue("three@members.net")
        self.assert_done(last, "sent")
        self.assertEqual(self.row(never).attempts, 0)

    def test_the_delivery_waits_for_an_unavailable_database(self) -> None:
        with (
            mock.patch.object(
                claims, "claim", side_effect=OperationalError("", {}, OSError("away"))
            ),
            self.assertLogs("project.delivery.loop", "WARNING") as logged,
        ):
            for _ in range(2):
                wait = self.deliverer._cycle()
                self.deliverer.resumes_at = None
        self.assertGreater(wait, SECOND)
        self.assertEqual(len(logged.records), 1)
        self.queue()
        with self.assertLogs("project.delivery.loop", "WARNING"):
            self.deliver(1)

    def test_a_message_is_due_again_at_once_if_the_database_was_locked(self) -> None:
        message = self.queue()
        locked = OperationalError("", {}, OSError("database is locked"))
        with (
            mock.patch.object(suppression.StoredRecipients, "resolve", side_effect=locked),
            self.assertRaises(OperationalError),
        ):
            self.deliver()
        self.assertEqual(self.row(message).attempts, 0)
        self.deliver(1)
        self.assert_done(message, "sent")


class TestErrors(DeliveryCase):
    """The recorded reason of an error."""

    def test_the_reason_has_the_stage_and_the_code(self) -> None:
        error = DeliveryError("rcpt", "550 5.1.1", 550)
        self.assertEqual((str(error), error.code_class), ("rcpt 550 5.1.1", "5xx"))
