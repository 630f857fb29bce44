"""Invitations: an administrator invites an address, whose owner then creates the account.

An invitation is a one-time token without an account. An invited account is never an administrator.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from project.accounts import audit, directory, email, one_time_tokens, registration
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.one_time_tokens import INVITATION, TABLE, Token
from project.accounts.sessions.tokens import LoginTokens
from project.errors import EmailExists, NotFound
from project.extensions import transaction
from project.security import identifiers


def send(address: str, actor: Actor, language: str | None = None) -> Token:
    """Queue an invitation, which invalidates an earlier one to the address. Raises EmailExists."""
    if directory.find_id(address) is not None:
        raise EmailExists
    actor = replace(actor, language=language or actor.language)
    with transaction():
        one_time_tokens.cancel(INVITATION, TABLE.c.address_key == identifiers.email_key(address))
        token_id = email.queue_new(INVITATION, address, actor, new_email=address)
        audit.record(Event.INVITATION_SENT, actor, invitation=token_id.hex)
    sent = one_time_tokens.find(token_id)
    if sent is None:  # cancelled meanwhile
        raise NotFound
    return sent


def list_outstanding() -> Sequence[Token]:
    """Return the invitations that can be accepted, newest first."""
    return one_time_tokens.list_usable(INVITATION)


def cancel(invitation_id: UUID, actor: Actor) -> None:
    """Cancel an invitation. Raises NotFound if it is not outstanding."""
    with transaction():
        if not one_time_tokens.cancel(INVITATION, TABLE.c.id == invitation_id):
            raise NotFound
        audit.record(Event.INVITATION_CANCELLED, actor, invitation=invitation_id.hex)


def accept(link_token: str, username: str, password: str, actor: Actor) -> LoginTokens:
    """Create the invited account, with a verified address, and start its first session.

    Raises CodeInvalid, UserExists, InvalidPayload for a weak password, TooManyAttempts or
    Overloaded; the invitation then remains valid.
    """
    token = one_time_tokens.by_link(link_token, INVITATION)
    return registration.create_account(username, token.new_email, password, actor, token)
