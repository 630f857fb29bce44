"""Mail about accounts: requested mail, and notices of events on an account.

A request for mail does not look up the account; the delivery does. The response therefore cannot
reveal whether an account exists. An operation queues its notices and tokens in its own transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from flask import current_app
from sqlalchemy import Row

from project.accounts import directory, one_time_tokens, outbox, throttle
from project.accounts.actors import Actor
from project.accounts.messages import KINDS, PREFIX, facts
from project.accounts.throttle.policies import MAIL_NOTICE, MAIL_REQUEST, Subjects
from project.clock import utcnow
from project.errors import SessionEnded
from project.extensions import transaction
from project.security import identifiers

RESEND_INTERVAL = timedelta(seconds=60)


Account = Row[*tuple[Any, ...]]
"""An account, with the columns that a query selects."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The result of requesting a mail; durations are in seconds."""

    request_id: str
    expires_in: int
    resend_in: int = int(RESEND_INTERVAL.total_seconds())


@dataclass(frozen=True, slots=True)
class Addressee:
    """The account that receives a notice, and the address.

    An address that is not known to be verified gets ten notices of one kind a day: otherwise
    anybody could send mail without limit to a person whose address they have registered.
    """

    id: int
    email: str
    language: str | None
    is_verified: bool = False

    @classmethod
    def of(cls, account: Account) -> Self:
        """Return an account as the addressee, at its current address."""
        is_verified = account.email_verified_at is not None
        return cls(account.id, account.email, account.language, is_verified)

    def admits(self, kind: str, actor: Actor) -> bool:
        """Count a notice within the caller's transaction; return whether it may be sent."""
        counted = Subjects(actor, f"{kind} {identifiers.email_key(self.email)}")
        return self.is_verified or throttle.admits(MAIL_NOTICE, counted)


def is_on() -> bool:
    """Return whether a mail transport is set up."""
    return not current_app.config["MAIL_URL"].is_off


def request(kind: str, email: str, actor: Actor, user_id: int | None = None) -> Requested:
    """Queue a mail with a code and a link to an address, with or without an account.

    Runs the same statements for every address. Raises TooManyAttempts, or SessionEnded if the user
    was deleted.
    """
    email_key = identifiers.email_key(email)
    throttle.count(MAIL_REQUEST, subjects=Subjects(actor, email_key))
    with transaction():
        if user_id is not None and not directory.hold(user_id):
            raise SessionEnded
        token_id = queue_new(kind, email, actor, user_id=user_id)
    request_id = one_time_tokens.request_id(token_id, kind)
    return Requested(request_id, int(KINDS[kind].lifetime.total_seconds()))


def queue_new(  # noqa: PLR0913  # each is a fact of the mail
    kind: str,
    email: str,
    actor: Actor,
    *,
    user_id: int | None = None,
    new_email: str | None = None,
    is_counted: bool = True,
) -> UUID:
    """Issue a one-time token and queue its mail, within the caller's transaction; return its id.

    The delivery counts the mail to this user against the rate limits unless `is_counted` is False.
    """
    email_key, lifetime = identifiers.email_key(email), KINDS[kind].lifetime
    token_id = one_time_tokens.issue(
        kind, email_key, lifetime, user_id=user_id, new_email=new_email
    )
    queue(kind, email, actor, token=token_id, user_id=None if is_counted else user_id)
    return token_id


def queue(  # noqa: PLR0913  # each is a fact of the mail
    kind: str,
    email: str,
    actor: Actor,
    *,
    token: UUID,
    disown: UUID | None = None,
    language: str | None = None,
    user_id: int | None = None,
) -> None:
    """Queue a mail with a code and a link, within the caller's transaction.

    `user_id` is NULL in the outbox until the delivery has looked up the account and counted
    the mail. If it is given, the mail is not counted.
    """
    now = utcnow()
    outbox.queue(
        PREFIX + kind,
        recipient=email,
        language=language or _language(actor),
        payload=facts(at=now, address=actor.address, token=token, disown=disown),
        expires_at=now + KINDS[kind].lifetime,
        user_id=user_id,
    )


def notify(kind: str, addressee: Addressee, actor: Actor) -> None:
    """Queue a notice with a "This was not me" link, within the caller's transaction.

    Does nothing if no mail transport is set up.
    """
    if is_on():
        email_key = identifiers.email_key(addressee.email)
        disown = one_time_tokens.issue_disown(kind, email_key, addressee.id)
        queue_notice(kind, addressee, actor, disown)


def queue_notice(
    kind: str,
    addressee: Addressee,
    actor: Actor,
    disown: UUID | None = None,
    final_at: datetime | None = None,
) -> None:
    """Queue a notice with the link of this disown token, within the caller's transaction.

    Does nothing beyond the limit of notices to an unverified address.
    """
    if not addressee.admits(kind, actor):
        return
    now = utcnow()
    outbox.queue(
        PREFIX + kind,
        recipient=addressee.email,
        language=addressee.language or _language(actor),
        payload=facts(at=now, address=actor.address, disown=disown, final_at=final_at),
        expires_at=now + KINDS[kind].lifetime,
        user_id=addressee.id,
    )


def notify_of_login(account: Account, actor: Actor) -> None:
    """Queue the notice of a login from a network that is new to a verified account.

    `account` is as it was before the login.
    """
    if account.last_login_at is None and account.email_verified_at is not None:
        notify("new_sign_in", Addressee.of(account), actor)


def _language(actor: Actor) -> str:
    language: str = actor.language or current_app.config["DEFAULT_LANGUAGE"]
    return language
