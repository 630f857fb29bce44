"""Builds the message: header fields, text part and HTML part (RFC 5322, RFC 2045).

The same row always produces the same bytes, so that duplicates can be recognised.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.errors import HeaderDefect, HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import idna

from project.accounts.messages import Claimed
from project.delivery.rendering import Rendered
from project.settings.mail_parsers import Mailbox


class AddressInvalid(Exception):
    """The text is not the address of a single mailbox."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A complete message with its envelope."""

    id: UUID
    kind: str
    created_at: datetime
    sender: str
    recipient: str
    content: bytes

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the recipient's local part has non-ASCII characters (RFC 6531)."""
        return not self.recipient.isascii()


def build(config: Mapping[str, Any], message: Claimed, recipient: str, rendered: Rendered) -> Mail:
    """Build the mail of a claimed message. Raises AddressInvalid."""
    to = address(recipient)
    sender: Mailbox = config["MAIL_FROM"]
    form = policy.SMTP if to.addr_spec.isascii() else policy.SMTPUTF8
    mail = EmailMessage(form)
    mail["From"] = _mailbox(sender)
    mail["To"] = to
    if config["MAIL_REPLY_TO"]:
        mail["Reply-To"] = _mailbox(config["MAIL_REPLY_TO"])
    mail["Subject"] = rendered.subject
    mail["Date"] = message.created_at.astimezone(UTC).replace(microsecond=0)
    mail["Message-ID"] = f"<{message.id}@{ascii_domain(sender.domain)}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(rendered.text, cte="quoted-printable")
    mail.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    mail.set_boundary(f"={message.id.hex}=")
    return Mail(
        id=message.id,
        kind=message.kind,
        created_at=message.created_at,
        sender=_mailbox(sender).addr_spec,
        recipient=to.addr_spec,
        content=mail.as_bytes(),
    )


def address(written: str) -> Address:
    """Parse a single address and convert its domain to ASCII. Raises AddressInvalid."""
    local, _, domain = written.rpartition("@")
    domain = ascii_domain(domain)
    try:
        if local.isascii():
            return Address(addr_spec=f"{local}@{domain}")
        if any(character in local for character in ' "(),:;<>@[\\]\t\r\n'):
            raise AddressInvalid
        return Address(username=local, domain=domain)
    except (HeaderDefect, HeaderParseError, ValueError, IndexError):
        raise AddressInvalid from None


def ascii_domain(domain: str) -> str:
    """Convert a domain to A-labels (RFC 5890). Raises AddressInvalid."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise AddressInvalid from None


def _mailbox(mailbox: Mailbox) -> Address:
    local, _, domain = mailbox.address.rpartition("@")
    return Address(mailbox.name, addr_spec=f"{local}@{ascii_domain(domain)}")
