"""Mail with sample data, for the test mail, the preview and the doctor."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import dns.exception
import dns.resolver
from flask import Flask

from project.accounts.messages import KINDS, PREFIX, Claimed, facts
from project.clock import utcnow
from project.delivery import mime, rendering, smtp
from project.delivery.folder import Folder
from project.delivery.outcomes import Rejected, TransportDown
from project.delivery.rendering import BROKEN, LAST_RESORT, Rendered, Renderer
from project.settings.mail_parsers import MailURL

__all__ = [
    "BROKEN",
    "certificate_days",
    "connection_stages",
    "missing_records",
    "rendered",
    "send",
    "template_faults",
]

SAMPLE_ADDRESS = "203.0.113.7"
TEST_SUBJECT = "Test of the mail settings"
TEST_TEXT = "This mail was sent by the command mail_test. Mail works.\n"
DNS_TIMEOUT = 5.0


def send(app: Flask, address: str) -> str:
    """Send a test mail; return a description of its destination. Raises a DeliveryError."""
    words = Rendered(TEST_SUBJECT, TEST_TEXT, f"<p>{TEST_TEXT.strip()}</p>\n")
    try:
        mail = mime.build(app.config, _sample("test", address), address, words)
    except mime.AddressInvalid:
        raise Rejected("address", f"{address!a} is not the address of one mailbox") from None
    if not app.config["MAIL_URL"].is_smtp:
        folder = Folder(Path(app.config["INSTANCE_PATH"]))
        folder.send(mail)
        return f"a file in {folder.path}"
    transport = smtp.SMTPTransport(app.config)
    try:
        transport.send(mail)
    finally:
        transport.close()
    return f"{app.config['MAIL_URL']} accepted it"


def rendered(app: Flask, kind: str, language: str) -> Rendered:
    """Render a mail with sample data. Raises one of BROKEN if the template is broken."""
    return Renderer(app.config).render_strictly(kind, language, _samples(app, kind))


def template_faults(app: Flask) -> list[str]:
    """Return the templates that cannot be rendered, each with the reason."""
    renderer = Renderer(app.config)
    faults = []
    for language in renderer.languages():
        for kind in KINDS:
            try:
                renderer.render_strictly(kind, language, _samples(app, kind))
            except BROKEN as error:
                faults.append(f"{language}/{kind} ({type(error).__name__}: {error})")
    return faults


def connection_stages(app: Flask) -> Iterator[tuple[str, float]]:
    """Connect, up to MAIL FROM; yield each stage with its duration. Raises TransportDown."""
    url: MailURL = app.config["MAIL_URL"]
    yield "dns", _timed(lambda: _look_up(url))
    yield "connect", _timed(lambda: _reach(url))
    transport = smtp.SMTPTransport(app.config)
    began = time.perf_counter()
    connection = transport.connect()
    try:
        names = ["tls"] if url.scheme != "smtp+plain" else []
        names += ["ehlo", *(["auth"] if url.user else [])]
        yield ", ".join(names), time.perf_counter() - began
        sender = mime.address(app.config["MAIL_FROM"].address).addr_spec
        yield "mail from", _timed(lambda: smtp.try_sender(connection, sender))
    finally:
        smtp.close(connection)


def certificate_days(app: Flask) -> int | None:
    """Return the days until the mail server's certificate expires; None without TLS."""
    connection = smtp.SMTPTransport(app.config).connect()
    try:
        if not isinstance(connection.sock, ssl.SSLSocket):
            return None
        ends_at = ssl.cert_time_to_seconds(str((connection.sock.getpeercert() or {})["notAfter"]))
        return int((ends_at - time.time()) // 86400)
    finally:
        smtp.close(connection)


def missing_records(domain: str) -> list[str]:
    """Return the DNS records that a domain lacks: SPF (RFC 7208) or DMARC (RFC 7489).

    The DMARC record of a parent domain counts. Raises OSError if DNS fails.
    """
    labels = domain.split(".")
    parents = [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]
    missing = [] if _has_record(domain, "v=spf1") else ["SPF"]
    has_dmarc = any(_has_record(f"_dmarc.{parent}", "v=DMARC1") for parent in parents)
    return missing if has_dmarc else [*missing, "DMARC"]


def _has_record(host: str, begin: str) -> bool:
    try:
        answers = dns.resolver.resolve(host, "TXT", lifetime=DNS_TIMEOUT)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return False
    except dns.exception.DNSException as error:
        raise OSError(0, f"DNS: {type(error).__name__}", host) from error
    return any(b"".join(answer.strings).startswith(begin.encode()) for answer in answers)


def _look_up(url: MailURL) -> None:
    try:
        socket.getaddrinfo(url.host, url.port)
    except socket.gaierror as error:
        raise TransportDown("dns", "no such host") from error


def _reach(url: MailURL) -> None:
    try:
        socket.create_connection((url.host, url.port), smtp.SOCKET_TIMEOUT).close()
    except OSError as error:
        raise TransportDown("connect", error.strerror or "timed out") from error


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class _SampleTokens:
    """Provides sample codes and links, which are never accepted."""

    def __init__(self, frontend: str) -> None:
        self._frontend = frontend

    def code_of(self, token_id: UUID, purpose: str) -> str:
        """Return a sample code."""
        return "WDJB-MJHT"

    def link_of(self, token_id: UUID, purpose: str, page: str) -> str:
        """Return a sample link, as long as a real one."""
        return f"{self._frontend}/{page}?token={'sample' * 7}x"


def _sample(kind: str, address: str) -> Claimed:
    now, token = utcnow(), uuid4()
    final_at = now + timedelta(days=7)
    payload = facts(at=now, address=SAMPLE_ADDRESS, token=token, disown=token, final_at=final_at)
    expires_at = now + (KINDS[kind].lifetime if kind in KINDS else timedelta(0))
    return Claimed(
        id=uuid4(), kind=PREFIX + kind, recipient=address, user_id=None, language=LAST_RESORT,
        payload=payload, created_at=now, expires_at=expires_at, attempts=1, deferrals=0,
        lease=token, was_due_at=now,
    )  # fmt: skip


def _samples(app: Flask, kind: str) -> dict[str, object]:
    frontend = app.config["FRONTEND_URL"] or "https://app.example.com"
    return rendering.variables(app.config, _sample(kind, ""), _SampleTokens(frontend))
