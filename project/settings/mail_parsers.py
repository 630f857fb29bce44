"""Parses the mail settings and checks them at start."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

DEFAULT_PORTS = {"smtps": 465, "smtp": 587, "smtp+plain": 25}
FORM = "give smtps://user:password@host:465, smtp://…:587, folder: or none:"
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,4})?")
DOMAIN = re.compile(r"[^\s@<>,;:\"()\[\]\\/]+")
LARGEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class MailURL:
    """A mail transport: its scheme and, for SMTP, the server."""

    scheme: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        """Return the URL without the user and the password."""
        return f"{self.scheme}://{self.host}:{self.port}" if self.is_smtp else f"{self.scheme}:"

    __repr__ = __str__

    @property
    def is_smtp(self) -> bool:
        """Whether mail is sent to an SMTP server."""
        return self.scheme in DEFAULT_PORTS

    @property
    def is_off(self) -> bool:
        """Whether mail is disabled."""
        return self.scheme == "none"


NO_MAIL = MailURL("none")
FOLDER = MailURL("folder")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail address with an optional display name (RFC 5322, section 3.4)."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The part after the `@`."""
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        """Return the mailbox in the form of the setting."""
        return f"{self.name} <{self.address}>" if self.name else self.address


def mail_url(value: str) -> MailURL:
    """Parse MAIL_URL. Raises ValueError without the value, which may contain a password."""
    if value in ("none:", "folder:"):
        return MailURL(value[:-1])
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not a URL; {FORM}") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"is not a URL of a mail transport; {FORM}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "has more than a host and a port; write / ? # in a password as %2F %3F %23"
        )
    if not f"{parts.username}{parts.password}".isascii():
        raise ValueError("has a user or a password that is not ASCII")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailURL(
        parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], user, password
    )


def mailbox(value: str) -> Mailbox:
    """Parse an address like `Users <no-reply@example.com>`; the name is optional."""
    name, address = parseaddr(value)
    local, _, domain = address.rpartition("@")
    if not local or not local.isascii() or not DOMAIN.fullmatch(domain) or not value.isprintable():
        raise ValueError("must be an address like: Users <no-reply@example.com>")
    return Mailbox(name, address)


def frontend_url(value: str) -> str:
    """Parse the base URL of all links; remove the trailing slash."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL like https://app.example.com")
    return value.rstrip("/")


def host_name(value: str) -> str:
    """Parse a host name."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+", value):
        raise ValueError("must be a host name like mail.example.com")
    return value


def language(value: str) -> str:
    """Parse a language tag like `en` or `de-AT` (RFC 5646)."""
    if not LANGUAGE.fullmatch(value):
        raise ValueError("must be a language like en or de-AT")
    return value


def allow_list(value: str) -> list[str]:
    """Parse a comma-separated list of domains and addresses."""
    listed = [entry.strip().lower() for entry in value.split(",") if entry.strip()]
    if not all(DOMAIN.fullmatch(entry.rpartition("@")[2]) for entry in listed):
        raise ValueError("must list domains or addresses, separated by commas")
    return listed


def smtp_password(config: Mapping[str, Any]) -> str:
    """Return the password for the mail server. Raises OSError."""
    if file := config["MAIL_PASSWORD_FILE"]:
        return Path(file).read_text("utf-8").strip("\r\n")
    password: str = config["MAIL_URL"].password
    return password


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of the mail settings, by setting, each with its remedy."""
    url: MailURL = config["MAIL_URL"]
    faults: dict[str, str] = {}
    if url.is_off:
        return _check_without_mail(config)
    if not config["MAIL_FROM"]:
        faults["MAIL_FROM"] = "MAIL_FROM is not set: set it to: Users <no-reply@your-domain>."
    if not config["FRONTEND_URL"]:
        faults["FRONTEND_URL"] = (
            "FRONTEND_URL is not set: set it to the URL of your front end, which links lead to."
        )
    elif config["STRICT"] and not config["FRONTEND_URL"].startswith("https://"):
        faults["FRONTEND_URL"] = "FRONTEND_URL must begin with https:// in production: change it."
    if config["STRICT"] and url.scheme == "smtp+plain" and not is_loopback(url.host):
        faults["MAIL_URL"] = (
            "MAIL_URL sends mail unencrypted to another machine: use smtps:// or smtp://."
        )
    return faults | _check_files(config)


def _check_without_mail(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of settings that require mail."""
    faults = {}
    if config["EMAIL_LOGIN"]:
        faults["EMAIL_LOGIN"] = "EMAIL_LOGIN requires mail: set MAIL_URL, or EMAIL_LOGIN to false."
    if config["REGISTRATION"] == "invited":
        faults["REGISTRATION"] = (
            "REGISTRATION is invited, which requires mail: set MAIL_URL, or REGISTRATION to open "
            "or closed."
        )
    if config["EMAIL_VERIFICATION"] == "required":
        faults["EMAIL_VERIFICATION"] = (
            "EMAIL_VERIFICATION is required, which requires mail: set MAIL_URL, or "
            "EMAIL_VERIFICATION to optional."
        )
    return faults


def _check_files(config: Mapping[str, Any]) -> dict[str, str]:
    faults = {}
    try:
        if not smtp_password(config).isascii():
            faults["MAIL_PASSWORD_FILE"] = (
                "MAIL_PASSWORD_FILE holds a password that is not ASCII: choose another."
            )
    except (OSError, UnicodeDecodeError):
        faults["MAIL_PASSWORD_FILE"] = (
            "MAIL_PASSWORD_FILE cannot be read: make it readable, or leave the setting out."
        )
    if config["MAIL_TEMPLATES"] and not Path(config["MAIL_TEMPLATES"]).is_dir():
        faults["MAIL_TEMPLATES"] = (
            "MAIL_TEMPLATES is no folder: create it, or leave the setting out."
        )
    return faults
