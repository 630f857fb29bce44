"""Looks up the account that receives requested mail, at delivery and never in the request."""

from uuid import UUID

from sqlalchemy import and_, bindparam, select, update

from project.accounts import directory, email, one_time_tokens, throttle
from project.accounts.actors import Actor
from project.accounts.email import Account, Addressee, change
from project.accounts.messages import PREFIX, Claimed, Recipient, Skipped
from project.accounts.one_time_tokens import Token
from project.accounts.suppression import StoredRecipients, is_suppressed
from project.accounts.throttle.policies import (
    ATTEMPT_NOTICE,
    MAIL_DELIVERY,
    REGISTRATION_MAIL,
    Group,
    Subjects,
)
from project.errors import TooManyAttempts
from project.extensions import autocommit, transaction, write_connection
from project.models import KnownNetwork, Outbox, User
from project.security import identifiers

LOOKED_UP = {f"{PREFIX}{kind}" for kind in ("password_reset", "email_verification", "email_login")}
"""The kinds of mail whose account is looked up by address."""

NEW_ADDRESS = PREFIX + change.PURPOSE
INVITATION = PREFIX + one_time_tokens.INVITATION

BY_KEY = (
    select(
        User.id,
        User.email,
        User.active,
        User.language,
        User.email_verified_at,
        KnownNetwork.last_login_at,
    )
    .outerjoin(
        KnownNetwork,
        and_(KnownNetwork.user_id == User.id, KnownNetwork.network == bindparam("network")),
    )
    .where(User.email_key == bindparam("email_key"))
)


class AccountRecipients(StoredRecipients):
    """Returns the account's own address for requested mail, and the queued one for other mail."""

    def resolve(self, message: Claimed) -> Recipient:
        """Return the recipient of a message. Raises Skipped."""
        if message.kind not in (*LOOKED_UP, NEW_ADDRESS, INVITATION):
            return super().resolve(message)
        token = one_time_tokens.find(UUID(message.payload["token"]))
        if token is None:
            raise Skipped("superseded")
        if message.kind == INVITATION:
            return super().resolve(message)
        actor = Actor(message.payload["address"], "")
        if message.kind == NEW_ADDRESS:
            return _new_address(message, token, actor)
        account = autocommit.first(BY_KEY, email_key=token.address_key, network=actor.network)
        if account is None or token.user_id not in (None, account.id):
            raise Skipped("no account")
        if not account.active:
            raise Skipped("inactive")
        if is_suppressed(account.email):
            raise Skipped("suppressed")
        if message.user_id is None:
            _admit(message, token, account.id, _subjects(message, account, actor))
        return Recipient(account.email, account.id, account.language or "")


def _new_address(message: Claimed, token: Token, actor: Actor) -> Recipient:
    """Return the new address of an account. Raises Skipped.

    If another account has the address, that account gets a notice instead, once a day.
    """
    subjects = Subjects(actor, identifiers.email_key(token.new_email))
    parameters = {"email_key": subjects.email_key, "network": actor.network}
    registered = autocommit.first(BY_KEY, **parameters)
    if registered is not None and registered.id != token.user_id:
        if registered.active:
            _count(ATTEMPT_NOTICE, subjects)
            with transaction():
                addressee = Addressee(registered.id, registered.email, registered.language)
                email.queue_notice("email_change_attempted", addressee, actor)
        raise Skipped("registered")
    if is_suppressed(token.new_email):
        raise Skipped("suppressed")
    if message.user_id is None:
        _admit(message, token, token.user_id, subjects)
    return Recipient(token.new_email, token.user_id)


def _subjects(message: Claimed, account: Account, actor: Actor) -> Subjects:
    """Return the subjects of a mail to the address of an account.

    The mails to an unverified address that are requested from known networks have a counter of
    their own: those networks may be an intruder's, and the requests of strangers must not use up
    the mails of the owner.
    """
    email_key = identifiers.email_key(account.email)
    is_known = account.last_login_at is not None and not _is_registration(message)
    if is_known and account.email_verified_at is None:
        return Subjects(actor, f"known {email_key}")
    return Subjects(actor, email_key, is_known)


def _admit(message: Claimed, token: Token, user_id: int, subjects: Subjects) -> None:
    """Count a mail against the rate limits, once for all its attempts, and assign its token."""
    # Requested mail is already counted per network.
    _count((*MAIL_DELIVERY, *(REGISTRATION_MAIL if _is_registration(message) else ())), subjects)
    with transaction():
        if not directory.hold(user_id):
            raise Skipped("no account")
        one_time_tokens.assign(token.id, user_id)
        write_connection().execute(
            update(Outbox).where(Outbox.id == message.id).values(user_id=user_id)
        )


def _count(group: Group, subjects: Subjects) -> None:
    """Count a mail. Raises Skipped at a limit; the caller of the request is not notified."""
    try:
        throttle.count(group, subjects=subjects)
    except TooManyAttempts as error:
        raise Skipped(f"limit {error.policy}") from None


def _is_registration(message: Claimed) -> bool:
    """Return whether a registration queued this mail; only such mail has a disown link."""
    return "disown" in message.payload
