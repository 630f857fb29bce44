"""Mail about accounts: what a person requests, and notices of what happened to an account.

A request never looks the account up: the delivery does, so a response cannot reveal who has one.
The notices and tokens of an operation are queued in its own transaction.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from flask import current_app

from project.accounts import one_time_tokens, outbox, throttle
from project.accounts.actors import Actor
from project.accounts.messages import KINDS, PREFIX, facts
from project.accounts.throttle.policies import MAIL_REQUEST, Subjects
from project.clock import utcnow
from project.extensions import transaction
from project.security import identifiers

RESEND_INTERVAL = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Requested:
    """What the caller of a request for mail gets; durations are in seconds."""

    request_id: str
    expires_in: int
    resend_in: int = int(RESEND_INTERVAL.total_seconds())


@dataclass(frozen=True, slots=True)
class Addressee:
    """The account that a notice is about, as it is stored."""

    id: int
    email: str
    language: str | None


def is_on() -> bool:
    """Return whether there is a mail transport."""
    return not current_app.config["MAIL_URL"].is_off


def request(kind: str, email: str, actor: Actor, user_id: int | None = None) -> Requested:
    """Queue a mail with a code and a link to whoever has this address, perhaps nobody.

    The same statements for every address. Raises TooManyAttempts.
    """
    email_key = identifiers.email_key(email)
    throttle.count(MAIL_REQUEST, subjects=Subjects(actor, email_key))
    lifetime = KINDS[kind].lifetime
    with transaction():
        token_id = one_time_tokens.issue(kind, email_key, lifetime, user_id=user_id)
        queue(kind, email, actor, token=token_id)
    asked = one_time_tokens.request_id(token_id, kind)
    return Requested(asked, int(lifetime.total_seconds()))


def queue(kind: str, email: str, actor: Actor, *, token: UUID, disown: UUID | None = None) -> None:
    """Queue a mail with a code and a link, within the caller's transaction.

    Its account is NULL in the outbox until the delivery has found and admitted it.
    """
    now = utcnow()
    outbox.queue(
        PREFIX + kind,
        recipient=email,
        language=_language(actor),
        payload=facts(at=now, address=actor.address, token=token, disown=disown),
        expires_at=now + KINDS[kind].lifetime,
    )


def notify(kind: str, addressee: Addressee, actor: Actor) -> None:
    """Queue a notice with a link "This was not me", within the caller's transaction.

    Nothing is queued where there is no mail.
    """
    if not is_on():
        return
    now = utcnow()
    email_key = identifiers.email_key(addressee.email)
    disown = one_time_tokens.issue_disown(kind, email_key, addressee.id)
    outbox.queue(
        PREFIX + kind,
        recipient=addressee.email,
        language=addressee.language or _language(actor),
        payload=facts(at=now, address=actor.address, disown=disown),
        expires_at=now + KINDS[kind].lifetime,
        user_id=addressee.id,
    )


def _language(actor: Actor) -> str:
    language: str = actor.language or current_app.config["DEFAULT_LANGUAGE"]
    return language
