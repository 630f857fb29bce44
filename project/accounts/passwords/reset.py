"""Resetting a forgotten password by mail, which claims the account.

Confirming a reset proves access to the mailbox. It ends all sessions, removes the known networks
and invalidates the account's one-time tokens, except disown tokens.
"""

from project.accounts import audit, directory, email, one_time_tokens, passwords, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Requested, claim
from project.accounts.one_time_tokens import Token
from project.errors import UserNotFound
from project.extensions import transaction
from project.models import User

PURPOSE = "password_reset"


def request(address: str, actor: Actor) -> Requested:
    """Queue a mail to reset the password for an address. Raises TooManyAttempts."""
    return email.request(PURPOSE, address, actor)


def request_for(user_id: int, actor: Actor) -> None:
    """Queue a mail to reset the password of an account, as an administrator. Raises UserNotFound.

    The administrator neither chooses nor learns the password, and the limits of requested mail do
    not apply.
    """
    address = directory.get(user_id).email
    with transaction():
        if not directory.hold(user_id):
            raise UserNotFound
        email.queue_new(PURPOSE, address, actor, user_id=user_id, is_counted=False)
        audit.record(Event.PASSWORD_RESET_REQUESTED, actor, user_id=user_id)


def confirm_by_link(link_token: str, password: str, actor: Actor) -> None:
    """Set a new password, confirmed by the link in the mail.

    Raises CodeInvalid, InvalidPayload for a weak password, or Overloaded.
    """
    _confirm(one_time_tokens.by_link(link_token, PURPOSE), password, actor)


def confirm_by_code(request_id: str, code: str, password: str, actor: Actor) -> None:
    """Set a new password, confirmed by the request id and the code in the mail.

    Raises CodeInvalid, InvalidPayload for a weak password, or Overloaded.
    """
    _confirm(one_time_tokens.by_request(request_id, code, PURPOSE, actor), password, actor)


def _confirm(token: Token, password: str, actor: Actor) -> None:
    account = claim.find_owner(token, actor)
    passwords.check_new_password(password, username=account.username, email=account.email)
    new_hash = User.hash_password(password, actor.site)
    with transaction():
        account = claim.lock_owner(token, actor)
        one_time_tokens.consume(token)
        ended = claim.claim(account, new_hash, actor)
        event = Event.PASSWORD_RESET_CONFIRMED
        audit.record(event, actor, user_id=account.id, sessions_ended=ended)
    throttle.clear(account.email, actor)
