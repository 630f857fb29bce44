"""The SMTP transport (RFC 5321), with verified TLS (RFC 8314).

Failures are classified by stage: up to MAIL FROM they affect every message, at RCPT and DATA only
one. By default, `smtplib` does not verify the certificate at STARTTLS and looks up the machine's
host name; this module passes a verifying SSL context and the host name.
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
"""Seconds to wait for each response."""

SEND_TIMEOUT = 60.0
"""Seconds to send a whole message: half of its lease."""

MAX_MESSAGES = 100
"""Messages per connection; many servers limit them."""

MAX_IDLE = 30.0
"""Seconds before an idle connection is closed."""

ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
"""An enhanced status code at the start of a response (RFC 3463)."""

FAILURES = (OSError, smtplib.SMTPException, ValueError)
"""The exceptions of `smtplib`; ValueError is raised for text that is not ASCII."""


class SMTPTransport:
    """Sends mail over one connection, which is reused until it is idle."""

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
        """Open a connection, with TLS, EHLO and AUTH. Raises TransportDown with the stage."""
        connection = self._opened(self._url)
        try:
            self._introduce(connection)
        except TransportDown:
            connection.close()
            raise
        return connection

    def rest(self) -> None:
        """Close the connection if it has been idle for MAX_IDLE."""
        if time.monotonic() - self._used_at > MAX_IDLE:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection:
            close(connection)

    def _ready(self) -> smtplib.SMTP:
        """Return a connection that is ready for a message; reconnect if necessary."""
        self.rest()
        if self._sent >= MAX_MESSAGES:
            self.close()
        if self._connection:
            # A server may close an idle connection; that is not a failure of the transport.
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
            with _one_message("mail"):  # other messages do not need these options
                _expect(connection.mail(mail.sender, ["SMTPUTF8", "BODY=8BITMIME"]))
        else:
            raise Rejected("rcpt", "the mail server lacks SMTPUTF8")
        with _one_message("rcpt"):
            _expect(connection.rcpt(mail.recipient))
        with _one_message("data"):
            _expect(connection.data(mail.content))


def try_sender(connection: smtplib.SMTP, sender: str) -> None:
    """Send MAIL FROM, then RSET. Raises TransportDown."""
    with _before_rcpt("mail"):
        _expect(connection.mail(sender))
        _expect(connection.rset())


def close(connection: smtplib.SMTP) -> None:
    """Send QUIT and close a connection in any state."""
    with suppress(*FAILURES), _at_most(SOCKET_TIMEOUT, connection):
        connection.quit()
    connection.close()


@contextmanager
def _at_most(seconds: float, connection: smtplib.SMTP) -> Iterator[None]:
    """Limit the total time: a socket time-out restarts with each byte that the server sends."""
    sock = connection.sock

    def cut() -> None:
        # SSLSocket.shutdown() would continue unencrypted.
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
    """Raise SMTPResponseException if the server did not accept a command."""
    code, text = response
    if not 200 <= code < 300:
        raise smtplib.SMTPResponseException(code, text)


@contextmanager
def _before_rcpt(stage: str) -> Iterator[None]:
    """Raise TransportDown for any failure in the block."""
    try:
        yield
    except FAILURES as error:
        raise TransportDown(stage, _reason(error), _code(error)) from error


@contextmanager
def _one_message(stage: str) -> Iterator[None]:
    """Raise Rejected for a 5xx response in the block, Deferred for any other failure."""
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
    """Return the reason for a failure without the server's text, which may contain an address."""
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
