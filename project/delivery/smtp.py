"""The transport that speaks SMTP (RFC 5321), over TLS that is verified (RFC 8314).

A failure is told apart by its stage. Up to MAIL FROM it concerns every message alike; at RCPT and
DATA it concerns one. `smtplib` by itself verifies no certificate at STARTTLS and looks up the
machine's name; both are given here.
"""

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from project.delivery.mime import Mail, ascii_domain
from project.delivery.outcomes import Deferred, DeliveryError, Rejected, TransportDown
from project.settings.mail_parsers import MailURL, smtp_password

SOCKET_TIMEOUT = 10.0
"""Seconds for each response."""

SEND_TIMEOUT = 60.0
"""Seconds for a message in all: half of its lease."""

MAX_MESSAGES = 100
"""Messages on one connection, after which many servers want a new one."""

MAX_IDLE = 30.0
"""Seconds that a connection stays open without work."""

ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
"""An enhanced status code at the beginning of a response (RFC 3463)."""

FAILURES = (OSError, smtplib.SMTPException, ValueError)
"""What `smtplib` raises; ValueError for what cannot be written in ASCII."""


class SMTPTransport:
    """Sends mail over one connection, which is used again while there is work."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._url: MailURL = config["MAIL_URL"]
        self._helo = config["MAIL_HELO"] or ascii_domain(config["MAIL_FROM"].domain)
        self._connection: smtplib.SMTP | None = None
        self._sent = 0
        self._used_at = 0.0

    def send(self, mail: Mail) -> None:
        """Send a message. Raises TransportDown, Deferred or Rejected."""
        connection = self._ready()
        try:
            with _at_most(SEND_TIMEOUT, connection):
                self._converse(connection, mail)
        except Rejected:
            self._used_at = time.monotonic()
            raise
        except DeliveryError:
            self.close()
            raise
        self._sent += 1
        self._used_at = time.monotonic()

    def connect(self) -> smtplib.SMTP:
        """Open a connection: TLS, EHLO and AUTH. Raises TransportDown with the stage."""
        connection = self._opened(self._url)
        try:
            self._introduce(connection)
        except TransportDown:
            connection.close()
            raise
        return connection

    def rest(self) -> None:
        """Close a connection that has been idle for long."""
        if time.monotonic() - self._used_at > MAX_IDLE:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection:
            close(connection)

    def _ready(self) -> smtplib.SMTP:
        """Return a connection on which a message can begin."""
        self.rest()
        if self._sent >= MAX_MESSAGES:
            self.close()
        if self._connection:
            # The server may have closed it, which says nothing about whether it works.
            with suppress(*FAILURES), _at_most(SOCKET_TIMEOUT, self._connection):
                _expect(self._connection.rset())
                return self._connection
            self.close()
        self._connection, self._sent = self.connect(), 0
        return self._connection

    def _opened(self, url: MailURL) -> smtplib.SMTP:
        try:
            if url.scheme == "smtps":
                context = ssl.create_default_context()
                return smtplib.SMTP_SSL(
                    url.host, url.port, self._helo, timeout=SOCKET_TIMEOUT, context=context
                )
            return smtplib.SMTP(url.host, url.port, self._helo, timeout=SOCKET_TIMEOUT)
        except socket.gaierror as error:
            raise TransportDown("dns", "no such host") from error
        except ssl.SSLError as error:
            raise TransportDown("tls", _reason(error)) from error
        except smtplib.SMTPException as error:
            raise TransportDown("greeting", _reason(error), _code(error)) from error
        except OSError as error:
            raise TransportDown("connect", _reason(error)) from error

    def _introduce(self, connection: smtplib.SMTP) -> None:
        with _before_rcpt("ehlo"):
            _expect(connection.ehlo())
        if self._url.scheme == "smtp":
            with _before_rcpt("starttls"):
                _expect(connection.starttls(context=ssl.create_default_context()))
                _expect(connection.ehlo())
        if self._url.user:
            with _before_rcpt("auth"):
                connection.login(self._url.user, smtp_password(self._config))

    def _converse(self, connection: smtplib.SMTP, mail: Mail) -> None:
        if not mail.needs_smtputf8:
            with _before_rcpt("mail"):
                _expect(connection.mail(mail.sender))
        elif connection.has_extn("smtputf8"):
            with _one_message("mail"):  # for no other message would these options be given
                _expect(connection.mail(mail.sender, ["SMTPUTF8", "BODY=8BITMIME"]))
        else:
            raise Rejected("rcpt", "the mail server lacks SMTPUTF8")
        with _one_message("rcpt"):
            _expect(connection.rcpt(mail.recipient))
        with _one_message("data"):
            _expect(connection.data(mail.content))


def try_sender(connection: smtplib.SMTP, sender: str) -> None:
    """Send MAIL FROM and take it back. Raises TransportDown."""
    with _before_rcpt("mail"):
        _expect(connection.mail(sender))
        _expect(connection.rset())


def close(connection: smtplib.SMTP) -> None:
    """Say QUIT and close a connection, whatever state it is in."""
    with suppress(*FAILURES), _at_most(SOCKET_TIMEOUT, connection):
        connection.quit()
    connection.close()


@contextmanager
def _at_most(seconds: float, connection: smtplib.SMTP) -> Iterator[None]:
    """End the connection after so long: a server may send a byte just before each time-out."""
    sock = connection.sock

    def cut() -> None:
        # SSLSocket's own shutdown() would go on in clear.
        with suppress(OSError):
            assert sock is not None
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _expect(response: tuple[int, bytes]) -> None:
    """Raise SMTPResponseException where the server did not accept a command."""
    code, text = response
    if not 200 <= code < 300:
        raise smtplib.SMTPResponseException(code, text)


@contextmanager
def _before_rcpt(stage: str) -> Iterator[None]:
    """Raise TransportDown for whatever fails within the block."""
    try:
        yield
    except FAILURES as error:
        raise TransportDown(stage, _reason(error), _code(error)) from error


@contextmanager
def _one_message(stage: str) -> Iterator[None]:
    """Raise Rejected for a response of 5xx, and Deferred for everything else that fails."""
    try:
        yield
    except FAILURES as error:
        code = _code(error)
        if code >= 500:
            raise Rejected(stage, _reason(error), code, _enhanced(error)) from error
        raise Deferred(stage, _reason(error), code) from error


def _code(error: Exception) -> int:
    code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
    return code if code > 0 else 0


def _enhanced(error: Exception) -> str:
    text = getattr(error, "smtp_error", b"")
    found = ENHANCED.match(text.decode("ascii", "replace") if isinstance(text, bytes) else text)
    return found[1] if found else ""


def _reason(error: Exception) -> str:
    """Return why, without the server's own words: they may hold an address."""
    if code := _code(error):
        return f"{code} {_enhanced(error)}".strip()
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "the server does not offer it"
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "timed out"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "connection lost"
    return getattr(error, "strerror", None) or type(error).__name__
