"""The conversation with a mail server: TLS, addresses, connections and time."""

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, ClassVar, cast
from unittest import mock

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as SMTPSession

from project.delivery import smtp
from project.delivery.loop import Deliverer
from project.settings.mail_parsers import mail_url
from project.tests.delivery.case import DeliveryCase
from project.tests.support import certificates
from project.tests.support.postgres import free_port
from project.tests.support.smtp import DRIP, DROP, HANG

REASON = "project.delivery.loop"


class Inbox:
    """Keeps what aiosmtpd accepts, with the name by which it was greeted."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.options: list[list[str]] = []
        self.greeted_as = ""

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self,
        server: SMTP,
        session: SMTPSession,
        envelope: Envelope,
        hostname: str,
        replies: list[str],
    ) -> list[str]:
        """Note the name."""
        session.host_name = self.greeted_as = hostname
        return replies

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: SMTPSession, envelope: Envelope
    ) -> str:
        """Keep a message."""
        content = cast(bytes, envelope.content)
        self.messages.append(message_from_bytes(content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        self.options.append([str(option) for option in envelope.mail_options])
        return "250 2.0.0 ok"


@contextmanager
def conforming(
    inbox: Inbox, implicit: ssl.SSLContext | None = None, **options: Any
) -> Iterator[int]:
    """Serve by aiosmtpd; yield the port."""
    known: dict[str, Any] = {"server_hostname": "localhost", "ssl_context": implicit}
    known["ready_timeout"] = 20
    server = Controller(inbox, "127.0.0.1", free_port(), **(known | options))
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def certified(host: str = "localhost", days: int = 1) -> ssl.SSLContext:
    """Return a server's context with a certificate for this host."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.made_for(host, days).certificate)
    return context


class TestTLS(DeliveryCase):
    """Nothing is sent before the server is known to be the right one."""

    def setUp(self) -> None:
        super().setUp()
        self.inbox = Inbox()
        authority = str(certificates.made_for("localhost").authority)
        self.enterContext(mock.patch.dict(os.environ, SSL_CERT_FILE=authority))

    def send_to(self, url: str) -> Deliverer:
        """Deliver one message by this transport."""
        self.app.config["MAIL_URL"] = mail_url(url)
        deliverer = self.new_deliverer()
        self.message = self.queue()
        deliverer.deliver_due()
        deliverer.sender.close()
        return deliverer

    def assert_fails(self, url: str, reason: str) -> None:
        """Hold a transport to send nothing, and to say why."""
        with self.assertLogs(REASON, "WARNING") as logged:
            deliverer = self.send_to(url)
        self.assertRegex(logged.records[0].reason, reason)  # type: ignore[attr-defined]
        self.assertEqual(self.inbox.messages, [])
        self.assertEqual(deliverer.failures, 1)
        self.assertEqual(self.row(self.message).attempts, 0)

    def test_starttls_is_used_and_verified(self) -> None:
        with conforming(self.inbox, tls_context=certified(), require_starttls=True) as port:
            self.send_to(f"smtp://localhost:{port}")
        self.assertEqual(len(self.inbox.messages), 1)
        self.assert_done(self.message, "sent")

    def test_smtps_starts_with_tls(self) -> None:
        with conforming(self.inbox, certified()) as port:
            self.send_to(f"smtps://localhost:{port}")
        self.assertEqual(len(self.inbox.messages), 1)

    def test_authentication_follows_tls(self) -> None:
        def check(*arguments: Any) -> AuthResult:
            given = cast(LoginPassword, arguments[-1])
            return AuthResult(success=given == LoginPassword(b"ada", b"s3cr:t/"), handled=False)

        tls = certified()
        with conforming(
            self.inbox, tls_context=tls, authenticator=check, auth_required=True
        ) as port:
            self.send_to(f"smtp://ada:s3cr%3At%2F@localhost:{port}")
            self.assertEqual(len(self.inbox.messages), 1)
            self.inbox.messages.clear()
            self.assert_fails(f"smtp://ada:wrong@localhost:{port}", "auth 535 5.7.8")

    def test_a_server_without_starttls_gets_nothing(self) -> None:
        self.assert_fails(f"smtp://127.0.0.1:{self.server.port}", "starttls the server does not")
        self.assertNotIn("mail", self.server.commands)

    def test_a_server_with_a_wrong_certificate_gets_nothing(self) -> None:
        for host, days, reason in (
            ("other.members.net", 1, "certificate: Hostname mismatch"),
            ("localhost", -1, "certificate: certificate has expired"),
        ):
            with self.subTest(reason), conforming(self.inbox, certified(host, days)) as port:
                self.assert_fails(f"smtps://localhost:{port}", f"^tls {reason}")
        with conforming(self.inbox, tls_context=certified("other.members.net")) as port:
            self.assert_fails(f"smtp://localhost:{port}", "^starttls certificate: Hostname")

    def test_a_server_with_an_unknown_authority_gets_nothing(self) -> None:
        with conforming(self.inbox, certified()) as port, mock.patch.dict(os.environ):
            del os.environ["SSL_CERT_FILE"]
            self.assert_fails(f"smtps://localhost:{port}", "certificate: unable to get local")

    def test_the_greeting_has_a_full_name_without_a_lookup(self) -> None:
        with (
            mock.patch("socket.getfqdn", side_effect=AssertionError),
            conforming(self.inbox) as port,
        ):
            self.send_to(f"smtp+plain://127.0.0.1:{port}")
            self.assertEqual(self.inbox.greeted_as, "members.net")
            self.app.config["MAIL_HELO"] = "mail.members.net"
            self.send_to(f"smtp+plain://127.0.0.1:{port}")
        self.assertEqual(self.inbox.greeted_as, "mail.members.net")

    def test_a_non_ascii_address_is_sent_if_the_server_supports_it(self) -> None:
        with conforming(self.inbox, enable_SMTPUTF8=True) as port:
            self.app.config["MAIL_URL"] = mail_url(f"smtp+plain://127.0.0.1:{port}")
            self.deliverer = self.new_deliverer()
            domain, local = self.queue("ada@müller.members.net"), self.queue("münze@members.net")
            self.deliver(2)
            self.deliverer.sender.close()
        self.assert_done(domain, "sent")
        self.assert_done(local, "sent")
        expected = [["ada@xn--mller-kva.members.net"], ["münze@members.net"]]
        self.assertEqual(self.inbox.recipients, expected)
        self.assertEqual(["SMTPUTF8" in options for options in self.inbox.options], [False, True])
        for message, recipients in zip(self.inbox.messages, expected, strict=True):
            self.assertEqual([str(message["To"])], recipients)


class TestAddresses(DeliveryCase):
    """One message has one recipient."""

    def test_several_addresses_in_one_are_rejected(self) -> None:
        addresses = (
            "a@members.net, evil@members.net",
            "a@members.net>, <evil@members.net",
            "a@members.net\r\nBcc: evil@members.net",
            "ü@members.net, evil@members.net",
            "members.net",
            "a@mem..bers.net\N{COMBINING ACUTE ACCENT}",
            "a@-ü.members.net",
        )
        for address in addresses:
            with self.subTest(address):
                message = self.queue(address)
                self.deliver(1)
                self.assert_done(message, "failed", "address invalid")
        self.assertEqual(self.server.received, [])

    def test_a_non_ascii_local_part_fails_if_the_server_does_not_support_it(self) -> None:
        message, other = self.queue("münze@members.net"), self.queue()
        self.deliver(2)
        self.assert_done(message, "failed", "rcpt the mail server lacks SMTPUTF8")
        self.assert_done(other, "sent")

    def test_a_reserved_name_is_skipped(self) -> None:
        for address in ("ada@members.test", "ada@a.EXAMPLE", "ada@x.invalid", "ada@y.localhost"):
            message = self.queue(address)
            self.deliver(1)
            self.assert_done(message, "skipped", "reserved name")
        self.assertEqual(self.server.connections, 0)


class TestConnections(DeliveryCase):
    """One connection is used for many messages, and none for long."""

    def test_a_connection_is_reused(self) -> None:
        for _ in range(5):
            self.queue()
        self.deliver(5)
        self.assertEqual(self.server.connections, 1)
        self.assertEqual(self.server.commands["rset"], 4)

    def test_a_connection_ends_after_many_messages_or_when_idle(self) -> None:
        with mock.patch.object(smtp, "MAX_MESSAGES", 2):
            for _ in range(5):
                self.queue()
            self.deliver(5)
        self.assertEqual(self.server.connections, 3)
        self.deliverer.sender.rest()
        self.assertEqual(self.server.commands["quit"], 2)
        with mock.patch.object(smtp, "MAX_IDLE", 0):
            self.deliverer.sender.rest()
        self.assertEqual(self.server.commands["quit"], 3)

    def test_a_connection_closed_by_the_server_is_replaced(self) -> None:
        for reply in (DROP, "421 4.4.2 idle for too long"):
            self.queue()
            self.deliver(1)
            self.server.replies["rset"] = reply
            self.queue()
            self.deliver(1)
        self.assertEqual(self.deliverer.failures, 0)

    def test_a_connection_is_usable_after_a_rejected_message(self) -> None:
        self.server.replies["rcpt"] = lambda line: "550 5.2.0 no" if "bad" in line else "250 ok"
        self.queue("bad@members.net")
        self.queue()
        self.deliver(2)
        self.assertEqual((self.server.connections, len(self.server.received)), (1, 1))

    def test_a_hanging_server_times_out(self) -> None:
        for stage, reason in (("greeting", "greeting timed out"), ("mail", "mail timed out")):
            self.server.replies = {stage: HANG}
            self.deliverer = self.new_deliverer()
            self.queue()
            with (
                mock.patch.object(smtp, "SOCKET_TIMEOUT", 0.2),
                self.assertLogs(REASON, "WARNING") as logged,
            ):
                self.deliver(0)
            self.assertEqual(logged.records[0].reason, reason)  # type: ignore[attr-defined]

    def test_a_slow_server_times_out(self) -> None:
        self.server.replies["rcpt"] = DRIP
        message, began_at = self.queue(), time.monotonic()
        with mock.patch.object(smtp, "SEND_TIMEOUT", 0.3):
            self.deliver(0)
        self.assertLess(time.monotonic() - began_at, 5)
        self.assert_waits(message, 1, 10, attempts=1)
        self.assertEqual(self.row(message).reason, "rcpt connection lost")

    def test_no_transaction_is_open_during_sending(self) -> None:
        held = []

        def reply(_: str) -> str:
            held.append(self.checked_out())
            return "250 ok"

        self.server.replies["rcpt"] = reply
        self.queue()
        self.deliver(1)
        self.assertEqual(held, [0])

    def checked_out(self) -> int:
        """Return how many connections to the database are in use."""
        with self.app.app_context():
            from_pools = [engine.pool for engine in self.engines()]
        return sum(pool.checkedout() for pool in from_pools)

    def engines(self) -> list[Any]:
        """Return the app's engines."""
        return [self.app.extensions["read_engine"], self.app.extensions["sqlalchemy"].engine]


class TestOnlyTo(DeliveryCase):
    """Staging, on a copy of production's database."""

    settings: ClassVar[dict[str, object]] = {
        "MAIL_ONLY_TO": ["team.members.net", "ada@members.net"]
    }

    def test_mail_to_other_addresses_is_written_to_the_folder(self) -> None:
        with self.assertLogs("project.delivery.folder", "INFO"):
            others = [self.queue("bob@members.net"), self.queue("a@x.team.members.net")]
            allowed = [self.queue("Ada@members.net"), self.queue("bob@team.members.net")]
            self.deliver(4)
        for message in others:
            self.assert_done(message, "skipped", "not in MAIL_ONLY_TO; written to the mail folder")
        self.assertEqual(self.server.recipients, ["Ada@members.net", "bob@team.members.net"])
        for message in allowed:
            self.assert_done(message, "sent")
