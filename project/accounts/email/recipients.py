"""Looks up the account that receives requested mail, at delivery and never in the request."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, bindparam, select, update

from project.accounts import one_time_tokens, throttle
from project.accounts.actors import Actor
from project.accounts.messages import PREFIX, Claimed, Recipient, Skipped
from project.accounts.one_time_tokens import Token
from project.accounts.suppression import StoredRecipients, is_suppressed
from project.accounts.throttle.policies import MAIL_DELIVERY, REGISTRATION_MAIL, Subjects
from project.errors import TooManyAttempts
from project.extensions import autocommit, transaction, write_connection
from project.models import KnownNetwork, Outbox, User

LOOKED_UP = {f"{PREFIX}{kind}" for kind in ("password_reset", "email_verification", "email_login")}
"""The kinds of mail whose account is looked up by address."""

INVITATION = PREFIX + one_time_tokens.INVITATION

BY_KEY = (
    select(User.id, User.email, User.active, User.language, KnownNetwork.last_login_at)
    .outerjoin(
        KnownNetwork,
        and_(KnownNetwork.user_id == User.id, KnownNetwork.network == bindparam("network")),
    )
    .where(User.email_key == bindparam("email_key"))
)

Account = Row[*tuple[Any, ...]]


class AccountRecipients(StoredRecipients):
    """Returns the account's own address for requested mail, and the queued one for other mail."""

    def resolve(self, message: Claimed) -> Recipient:
        """Return the recipient of a message. Raises Skipped."""
        if message.kind not in (*LOOKED_UP, INVITATION):
            return super().resolve(message)
        token = one_time_tokens.find(UUID(message.payload["token"]))
        if token is None:
            raise Skipped("superseded")
        if message.kind == INVITATION:
            return super().resolve(message)
        actor = Actor(message.payload["address"], "")
        account = autocommit.first(BY_KEY, email_key=token.address_key, network=actor.network)
        if account is None or token.user_id not in (None, account.id):
            raise Skipped("no account")
        if not account.active:
            raise Skipped("inactive")
        if is_suppressed(account.email):
            raise Skipped("suppressed")
        if message.user_id is None:
            _admit(message, token, account, actor)
        return Recipient(account.email, account.id, account.language or "")


def _admit(message: Claimed, token: Token, account: Account, actor: Actor) -> None:
    """Count a mail against the rate limits, once for all its attempts, and assign its token.

    Raises Skipped if a rate limit is reached; the caller of the request is not notified.
    """
    known = account.last_login_at is not None
    # Only the mail of a registration has a disown link; requested mail is already counted.
    group = (*MAIL_DELIVERY, *(REGISTRATION_MAIL if "disown" in message.payload else ()))
    try:
        throttle.count(group, subjects=Subjects(actor, token.address_key, known))
    except TooManyAttempts as error:
        raise Skipped(f"limit {error.policy}") from None
    with transaction():
        one_time_tokens.assign(token.id, account.id)
        write_connection().execute(
            update(Outbox).where(Outbox.id == message.id).values(user_id=account.id)
        )
