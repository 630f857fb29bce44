"""The commands, the doctor's checks and the metrics of mail."""

import io
import json
import os
import re
import tempfile
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import ClassVar
from unittest import mock

import dns.resolver
import time_machine

from project.accounts import retention, suppression
from project.accounts.messages import KINDS
from project.clock import utcnow
from project.commands import mail, outbox
from project.commands.console import CommandFailed
from project.commands.doctor import mail_checks
from project.commands.doctor.findings import Finding, Level
from project.delivery import mail as mail_delivery
from project.delivery import smtp
from project.extensions import db
from project.models import Outbox
from project.settings.mail_parsers import FOLDER, NO_MAIL, mail_url, mailbox
from project.tests.delivery.case import DeliveryCase
from project.tests.delivery.test_smtp import Inbox, certified, conforming
from project.tests.support import certificates
from project.tests.support.scraping import DIGEST, scrape
from project.tests.support.smtp import HANG
from project.tests.utils import InProcess


class TestOutboxCommands(DeliveryCase):
    """In this process."""

    def output(self, command: object, *arguments: object, **options: object) -> str:
        """Run a command; return what it prints."""
        with redirect_stdout(io.StringIO()) as printed:
            command(*arguments, **options)  # type: ignore[operator]
        return printed.getvalue()

    def failed(self, **options: object) -> Outbox:
        """Return a message that failed."""
        self.server.replies["rcpt"] = "550 5.2.1 disabled"
        message = self.queue(**options)  # type: ignore[arg-type]
        self.deliver(1)
        self.server.replies.clear()
        return self.row(message)

    def test_deliver_once_delivers_all_due_messages(self) -> None:
        self.queue()
        self.assertEqual(self.output(outbox.deliver, once=True), "Finished 1 messages.\n")
        self.assertEqual(self.server.commands["quit"], 1)
        self.server.replies["mail"] = "451 4.3.0 no"
        self.queue()
        with (
            self.assertLogs("project.delivery.loop", "WARNING"),
            self.assertRaisesRegex(CommandFailed, "mail server fails"),
        ):
            self.output(outbox.deliver, once=True)

    def test_deliver_fails_without_mail(self) -> None:
        self.app.config["MAIL_URL"] = NO_MAIL
        for command in (outbox.deliver, lambda: mail.mail_test("a@b.net")):
            with self.assertRaisesRegex(CommandFailed, "MAIL_URL is none"):
                self.output(command)

    def test_the_list_contains_no_address(self) -> None:
        failed, message = self.failed(), self.queue(kind="email_login")
        waiting = self.output(outbox.outbox)
        self.assertRegex(waiting, rf"^{message}  mail.email_login .* 0 attempts\nWaiting: 1.\n$")
        output = self.output(outbox.outbox, failed=True)
        self.assertIn("rcpt 550 5.2.1\nFailed: 1.", output)
        (row,) = json.loads(self.output(outbox.outbox, failed=True, json=True))
        self.assertEqual((row["id"], row["outcome"]), (str(failed.id), "failed"))
        self.assertNotIn("@", waiting + output + json.dumps(row))

    def test_a_failed_message_can_be_retried(self) -> None:
        first, second = self.failed(), self.failed(kind="username_changed")
        again = outbox.OutboxRetry()
        self.assertEqual(self.output(again.run, str(first.id), False, None), "Due again: 1.\n")
        self.deliver(1)
        self.assert_done(first.id, "sent")
        for kind, number in (("mail.invitation", 0), ("mail.username_changed", 1)):
            self.assertEqual(self.output(again.run, None, True, kind), f"Due again: {number}.\n")
        self.deliver(1)
        self.assert_done(second.id, "sent")

    def test_retrying_an_unknown_message_is_an_error(self) -> None:
        again, failed = outbox.OutboxRetry(), self.failed()
        for arguments in ((None, False, None), (str(failed.id), True, None), ("x", False, None)):
            with self.assertRaises(CommandFailed):
                again.run(*arguments)
        with time_machine.travel(utcnow() + timedelta(days=4)), self.assertRaises(CommandFailed):
            again.run(str(failed.id), False, None)

    def test_a_waiting_message_can_be_cancelled(self) -> None:
        message = self.queue()
        self.output(outbox.outbox_cancel, str(message))
        self.assert_done(message, "cancelled", "by command")
        with self.assertRaisesRegex(CommandFailed, "no waiting message"):
            outbox.outbox_cancel(str(message))

    def test_unsuppress_allows_mail_to_the_address(self) -> None:
        suppression.suppress("ada@members.net")
        db.session.commit()
        self.output(outbox.unsuppress, "ADA@members.net")
        self.assertFalse(suppression.is_suppressed("ada@members.net"))
        with self.assertRaisesRegex(CommandFailed, "not suppressed"):
            outbox.unsuppress("ada@members.net")

    def test_a_test_mail_names_the_stage_that_fails(self) -> None:
        self.assertIn("accepted it", self.output(mail.mail_test, "ada@members.net"))
        self.assertEqual(self.server.recipients, ["ada@members.net"])
        for stage, reply, said in (
            ("greeting", "554 5.7.1 no", "Stage greeting: 554"),
            ("mail", "550 5.7.1 no", "Stage mail: 550 5.7.1"),
            ("rcpt", "550 5.1.1 no", "Stage rcpt: 550 5.1.1"),
            ("message", "451 4.3.0 no", "Stage data: 451 4.3.0"),
            ("ehlo", HANG, "Stage ehlo: timed out"),
        ):
            self.server.replies = {stage: reply}
            with (
                mock.patch.object(smtp, "SOCKET_TIMEOUT", 0.3),
                self.subTest(stage),
                self.assertRaisesRegex(CommandFailed, said),
            ):
                self.output(mail.mail_test, "ada@members.net")
        with self.assertRaisesRegex(CommandFailed, "Stage address"):
            self.output(mail.mail_test, "a@b.net, c@d.net")

    def test_a_test_mail_can_be_written_to_the_folder(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.app.config.update(MAIL_URL=FOLDER, INSTANCE_PATH=folder)
        with self.assertLogs("project.delivery.folder", "INFO"):
            self.assertIn("a file in", self.output(mail.mail_test, "ada@members.net"))

    def test_every_kind_can_be_previewed(self) -> None:
        for kind in KINDS.values():
            printed = self.output(mail.mail_preview, kind.name, language="de")
            self.assertRegex(printed, r"^Subject: \S.*\n\n\S")
            self.assertEqual("WDJB-MJHT" in printed, kind.has_code)
            html = self.output(mail.mail_preview, kind.name, as_html=True)
            self.assertTrue(html.startswith("<!doctype html>"))
        with self.assertRaisesRegex(CommandFailed, "is no kind of mail"):
            mail.mail_preview("x")

    def test_done_messages_are_purged_and_failed_ones_later(self) -> None:
        self.queue()
        self.deliver(1)
        self.failed()
        for days, expected in ((7, {}), (9, {"messages": 1}), (92, {"failed messages": 1})):
            with time_machine.travel(utcnow() + timedelta(days=days)):
                purged = {batch.name: batch.rows for batch in retention.purge() if batch.rows}
            self.assertEqual(purged, expected)


class TestMailChecks(DeliveryCase):
    """The checks of the doctor."""

    def setUp(self) -> None:
        super().setUp()
        authority = str(certificates.made_for("localhost").authority)
        self.enterContext(mock.patch.dict(os.environ, SSL_CERT_FILE=authority))

    def assert_found(self, finding: Finding, level: Level, what: str) -> None:
        """Assert the level and the text of a finding."""
        self.assertEqual(finding.level, level, finding)
        self.assertRegex(finding.found, what)
        self.assertEqual(bool(finding.remedy), level is not Level.OK)

    def test_without_mail_only_the_setting_is_checked(self) -> None:
        self.app.config["MAIL_URL"] = NO_MAIL
        self.assert_found(mail_checks.mail(), Level.WARNING, "MAIL_URL is none")
        for check in ("mail_folder", "mail_server", "mail_domain", "mail_templates", "outbox"):
            self.assert_found(getattr(mail_checks, check)(), Level.OK, "mail")

    def test_the_settings_are_reported_without_the_password(self) -> None:
        self.app.config["MAIL_URL"] = mail_url("smtps://ada:hunter2@mail.members.net")
        self.app.config["MAIL_ONLY_TO"] = ["members.net"]
        expected = (
            r"^smtps://mail.members.net:465 as Members <no-reply@members.net>, only to "
            "members.net, links to https://app.members.net, delivered by the workers$"
        )
        self.assert_found(mail_checks.mail(), Level.OK, expected)

    def test_the_mail_folder_is_an_error_in_production(self) -> None:
        self.assert_found(mail_checks.mail_folder(), Level.OK, "not written")
        self.app.config["MAIL_URL"] = FOLDER
        self.assert_found(mail_checks.mail_folder(), Level.OK, "for development")
        self.app.config["STRICT"] = True
        self.assert_found(mail_checks.mail_folder(), Level.ERROR, "reaches nobody")

    def test_every_stage_of_the_server_is_timed(self) -> None:
        with conforming(Inbox(), certified(days=30)) as port:
            self.app.config["MAIL_URL"] = mail_url(f"smtps://localhost:{port}")
            stages = r"^dns \d+ ms, connect \d+ ms, tls, ehlo \d+ ms, mail from \d+ ms; .* 29 days$"
            self.assert_found(mail_checks.mail_server(), Level.OK, stages)
        with conforming(Inbox(), certified(days=2)) as port:
            self.app.config["MAIL_URL"] = mail_url(f"smtps://localhost:{port}")
            ends = "the certificate expires in 1 days"
            self.assert_found(mail_checks.mail_server(), Level.WARNING, ends)

    def test_the_stage_that_fails_is_named(self) -> None:
        self.app.config["MAIL_URL"] = mail_url("smtps://mail.members.invalid")
        self.assert_found(mail_checks.mail_server(), Level.ERROR, "^dns failed: no such host")
        self.app.config["MAIL_URL"] = mail_url("smtp+plain://127.0.0.1:1")
        refused = r"^dns \d+ ms, connect failed: Connection refused"
        self.assert_found(mail_checks.mail_server(), Level.ERROR, refused)
        self.app.config["MAIL_URL"] = mail_url(self.server.url)
        for stage in ("ehlo", "mail"):
            self.server.replies = {stage: "550 5.7.1 no"}
            failing = f", {stage} failed: 550 5.7.1"
            self.assert_found(mail_checks.mail_server(), Level.ERROR, failing)
        self.app.config["MAIL_URL"] = mail_url(f"smtps://127.0.0.1:{self.server.port}")
        self.assert_found(mail_checks.mail_server(), Level.ERROR, ", tls failed")

    def test_the_records_of_the_domain_are_looked_up(self) -> None:
        class Text:
            def __init__(self, text: bytes) -> None:
                self.strings = [text[:3], text[3:]]

        records = {"members.net": [Text(b"x=1"), Text(b"v=spf1 -all")]}

        def resolve(host: str, kind: str, lifetime: float) -> list[Text]:
            if host not in records:
                raise dns.resolver.NXDOMAIN
            return records[host]

        with mock.patch.object(dns.resolver, "resolve", resolve):
            self.assert_found(
                mail_checks.mail_domain(), Level.WARNING, "^members.net has no DMARC record"
            )
            records["_dmarc.members.net"] = [Text(b"v=DMARC1; p=none")]
            self.assert_found(mail_checks.mail_domain(), Level.OK, "has SPF and DMARC")
            self.app.config["MAIL_FROM"] = mailbox("no-reply@mail.members.net")
            self.assert_found(mail_checks.mail_domain(), Level.WARNING, "has no SPF record")
        with mock.patch.object(dns.resolver, "resolve", side_effect=dns.resolver.NoNameservers):
            unknown = r"cannot be looked up \(DNS: NoNameservers\)"
            self.assert_found(mail_checks.mail_domain(), Level.WARNING, unknown)

    def test_broken_templates_are_named(self) -> None:
        self.assert_found(mail_checks.mail_templates(), Level.OK, "every kind")
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "de").mkdir()
        (folder / "de" / "invitation.txt").write_text("{{ code }}")
        self.app.config["MAIL_TEMPLATES"] = str(folder)
        self.assert_found(mail_checks.mail_templates(), Level.WARNING, r"de/invitation \(Undef")

    def test_messages_that_wait_or_failed_are_told(self) -> None:
        self.assert_found(
            mail_checks.outbox(),
            Level.OK,
            "^0 waiting, 0 failed within a day, delivered by the workers$",
        )
        self.server.replies["rcpt"] = "550 5.2.1 disabled"
        self.queue()
        self.deliver(1)
        self.assert_found(mail_checks.outbox(), Level.WARNING, "^0 waiting, 1 failed")
        self.queue()
        with time_machine.travel(utcnow() + timedelta(minutes=6)):
            waits = r"^1 waiting, 1 failed within a day, .*; the oldest has been due for 36\d s"
            self.assert_found(mail_checks.outbox(), Level.ERROR, waits)


class TestMailMetrics(DeliveryCase):
    """The metrics of the outbox."""

    settings: ClassVar[dict[str, object]] = {"METRICS_TOKEN": DIGEST}

    def test_messages_are_counted(self) -> None:
        caller = InProcess(self.app.test_client())
        self.server.replies["rcpt"] = lambda line: "550 5.2.0" if "gone" in line else "250 ok"
        self.queue("gone@members.net")
        self.queue()
        with time_machine.travel(utcnow() + timedelta(seconds=20)):
            self.assertAlmostEqual(scrape(caller).value("users_outbox_oldest_seconds"), 20, delta=5)
        self.assertEqual(scrape(caller).value("users_outbox_pending"), 2)
        self.deliver(2)
        output = scrape(caller)
        self.assertEqual(output.value("users_outbox_pending"), 0)
        for outcome in ("sent", "failed"):
            done = {"kind": "mail.password_changed", "outcome": outcome}
            self.assertEqual(output.value("users_outbox_done_total", **done), 1)
        rejected = {"stage": "rcpt", "class": "5xx"}
        self.assertEqual(output.value("users_outbox_attempts_total", **rejected), 1)
        self.assertEqual(output.value("users_outbox_delay_seconds_count"), 1)

    def test_a_failing_transport_is_reported_until_it_recovers(self) -> None:
        caller = InProcess(self.app.test_client())
        self.server.replies["mail"] = "451 4.3.0 no"
        self.queue()
        with self.assertLogs("project.delivery.loop", "WARNING"):
            self.deliver(0)
        self.assertEqual(scrape(caller).value("users_outbox_transport_down"), 1)
        self.server.replies.clear()
        with time_machine.travel(utcnow() + timedelta(seconds=2)):
            self.deliver(1)
        self.assertEqual(scrape(caller).value("users_outbox_transport_down"), 0)

    def test_there_are_no_metrics_without_mail(self) -> None:
        app = self.new_app(MAIL_URL=NO_MAIL, METRICS_TOKEN=DIGEST)
        output = scrape(InProcess(app.test_client()))
        names = [sample.name for sample in output.samples() if re.search("outbox", sample.name)]
        self.assertEqual(names, [])
        self.assertIsNone(mail_delivery.deliverer(self.new_app(METRICS_TOKEN=[])).observer)
