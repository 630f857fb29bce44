"""The kinds of mail, and the interfaces that `accounts/` implements for the delivery.

An operation queues a kind with its payload; the delivery gets everything else through `Recipients`
and `OneTimeTokens` when it sends the mail.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

PREFIX = "mail."
"""The prefix of `kind` for every mail in the outbox."""

NOTICE_LIFETIME = timedelta(days=3)
DISOWN_PAGE = "not-me"
FAREWELL = "account_deleted"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mail: its contents, and its lifetime in the outbox.

    `page` is the page of the front end that the link leads to. If it is set, the one-time token has
    the name of the kind as its purpose.
    """

    name: str
    lifetime: timedelta = NOTICE_LIFETIME
    page: str = ""
    has_code: bool = False
    has_disown_link: bool = False

    @property
    def disown_purpose(self) -> str:
        """The purpose of the one-time token in the link "This was not me"."""
        return f"disown_{self.name}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("email_verification", timedelta(hours=24), "verify-email", True, True),
        Kind("password_reset", timedelta(minutes=30), "reset-password", True),
        Kind("password_changed", has_disown_link=True),
        Kind("email_change", timedelta(hours=24), "confirm-email", True),
        Kind("email_change_requested", has_disown_link=True),
        Kind("email_changed", has_disown_link=True),
        Kind("email_change_attempted"),
        Kind("email_login", timedelta(minutes=10), "login", True),
        Kind("new_sign_in", has_disown_link=True),
        Kind("username_changed", has_disown_link=True),
        Kind(FAREWELL, has_disown_link=True),
        Kind("invitation", timedelta(days=7), "invitation"),
    )
}


def facts(
    *,
    at: datetime,
    address: str = "",
    token: UUID | None = None,
    disown: UUID | None = None,
    final_at: datetime | None = None,
) -> dict[str, str]:
    """Return the payload of a mail.

    `at` is the time of the operation and `address` the caller's IP address; `token` and `disown`
    are ids of one-time tokens; `final_at` is the time at which a deleted account is erased.
    """
    known = {
        "at": at.isoformat(),
        "address": address,
        "token": token.hex if token else None,
        "disown": disown.hex if disown else None,
        "final_at": final_at.isoformat() if final_at else None,
    }
    return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this process has claimed; `was_due_at` is its due time before the claim."""

    id: UUID
    kind: str
    recipient: str
    user_id: int | None
    language: str
    payload: dict[str, str]
    created_at: datetime
    expires_at: datetime
    attempts: int
    deferrals: int
    lease: UUID
    was_due_at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """The recipient of a message; `language` is the account's, or empty."""

    address: str
    user_id: int | None = None
    language: str = ""


class Skipped(Exception):
    """The message should not be sent; the text is the reason, without an address."""


class Recipients(Protocol):
    """Finds the recipient when a message is sent, and records mailboxes that do not exist.

    A component of the app.
    """

    def resolve(self, message: Claimed) -> Recipient:
        """Return the recipient of a message. Raises Skipped."""

    def refused(self, message: Claimed, recipient: Recipient, reason: str) -> None:
        """Record that the mail server permanently rejected this address (5.1.x), and commit."""


class OneTimeTokens(Protocol):
    """Derives codes and links from the ids of one-time tokens.

    A component of the app.
    """

    def code_of(self, token_id: UUID, purpose: str) -> str:
        """Return the one-time code in display form."""

    def link_of(self, token_id: UUID, purpose: str, page: str) -> str:
        """Return a link to a page of the front end, with the token."""
