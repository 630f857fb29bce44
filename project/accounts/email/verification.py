"""Email verification, which requires access to both the mailbox and the account."""

from flask import current_app
from sqlalchemy import update

from project.accounts import audit, email, one_time_tokens
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Requested
from project.accounts.one_time_tokens import Token
from project.accounts.passwords import current
from project.accounts.sessions import Principal
from project.clock import utcnow
from project.errors import CodeInvalid
from project.extensions import db, transaction
from project.models import User
from project.security import identifiers

PURPOSE = "email_verification"
OFF = "off"
REQUIRED = "required"


def queue_for_registration(user_id: int, address: str, actor: Actor) -> None:
    """Queue the mail that verifies a new account's address, within the caller's transaction.

    Runs two statements, or none if there is no mail transport or EMAIL_VERIFICATION is off.
    """
    if not is_on():
        return
    token, disown = one_time_tokens.issue_with_disown(
        PURPOSE, identifiers.email_key(address), user_id
    )
    email.queue(PURPOSE, address, actor, token=token, disown=disown)


def request(principal: Principal, actor: Actor) -> Requested | None:
    """Queue the mail again; return None if the address is verified. Raises TooManyAttempts."""
    if principal.email_verified:
        return None
    return email.request(PURPOSE, principal.email, actor, principal.id)


def confirm_by_code(user_id: int, code: str, actor: Actor) -> None:
    """Verify the address of a logged-in user by code. Raises CodeInvalid."""
    _confirm(one_time_tokens.by_user(user_id, code, PURPOSE, actor), actor)


def confirm_by_link(link_token: str, password: str, actor: Actor) -> int:
    """Verify the address by link and password; return the user's id.

    Raises CodeInvalid, PasswordWrong, TooManyAttempts or Overloaded.
    """
    token = one_time_tokens.by_link(link_token, PURPOSE)
    current.check(token.user_id, password, actor)
    _confirm(token, actor)
    user_id: int = token.user_id
    return user_id


def is_on() -> bool:
    """Return whether a registration sends a mail to verify the address."""
    return email.is_on() and current_app.config["EMAIL_VERIFICATION"] != OFF


def is_required() -> bool:
    """Return whether /auth/forward rejects unverified accounts."""
    return email.is_on() and current_app.config["EMAIL_VERIFICATION"] == REQUIRED


def _confirm(token: Token, actor: Actor) -> None:
    """Mark the address as verified. Raises CodeInvalid if it has changed since."""
    owner = (User.id == token.user_id, User.email_key == token.address_key, User.active)
    verifying = update(User).where(*owner).values(email_verified_at=utcnow())
    with transaction():
        if db.session.scalar(verifying.returning(User.id)) is None:
            raise CodeInvalid
        one_time_tokens.consume(token)
        audit.record(Event.EMAIL_VERIFIED, actor, user_id=token.user_id)
