"""Changing the e-mail address of an account, and undoing the change.

A code or a link, sent to the new address, confirms the change. The previous addresses get a link
that restores them for seven days.
"""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from project.accounts import audit, email, one_time_tokens, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Account, Addressee
from project.accounts.messages import DISOWN_PREFIX, KINDS
from project.accounts.one_time_tokens import Token
from project.accounts.passwords import current
from project.accounts.sessions import Principal
from project.accounts.throttle.policies import MAIL_REQUEST, Subjects
from project.clock import utcnow
from project.errors import CodeInvalid, EmailExists, SessionEnded
from project.extensions import autocommit, db, transaction, write_connection
from project.models import Session, User
from project.security import identifiers

PURPOSE = "email_change"
REQUESTED = "email_change_requested"
CHANGED = "email_changed"
COLUMNS = (
    User.id, User.email, User.email_key, User.active, User.admin, User.language,
    User.email_verified_at,
)  # fmt: skip


def request(principal: Principal, address: str, actor: Actor) -> int:
    """Queue a mail to the new address; return the seconds until its code expires.

    Runs the same statements whether or not the address is registered. Replaces a pending change.
    Raises TooManyAttempts, or SessionEnded if the session ended meanwhile.
    """
    throttle.count(MAIL_REQUEST, subjects=Subjects(actor, identifiers.email_key(address)))
    lifetime = KINDS[PURPOSE].lifetime
    with transaction():
        account = lock(principal.id)
        # No change may be pending after a password reset, which ends the session.
        if account is None or not _is_open(principal.session_id):
            raise SessionEnded
        one_time_tokens.invalidate_purpose(account.id, PURPOSE)
        token = one_time_tokens.issue(
            PURPOSE, account.email_key, lifetime, user_id=account.id, new_email=address
        )
        email.queue(PURPOSE, address, actor, token=token, language=account.language)
        if account.email_verified_at is not None:
            disown = _issue_disown(REQUESTED, account)
            email.queue_notice(REQUESTED, Addressee.of(account), actor, disown)
        audit.record(Event.EMAIL_CHANGE_REQUESTED, actor, user_id=account.id)
    return int(lifetime.total_seconds())


def cancel(user_id: int) -> None:
    """Cancel the pending change of an account, if there is one."""
    with transaction():
        one_time_tokens.invalidate_purpose(user_id, PURPOSE)


def pending(user_id: int) -> str | None:
    """Return the new address of the pending change, or None."""
    newest = autocommit.first(one_time_tokens.select_newest(user_id, PURPOSE))
    return newest.new_email if newest else None


def confirm_by_code(principal: Principal, code: str, actor: Actor) -> None:
    """Change the address by code; the caller's session continues.

    Raises CodeInvalid or EmailExists.
    """
    token = one_time_tokens.by_user(principal.id, code, PURPOSE, actor)
    _confirm(token, actor, principal.session_id)


def confirm_by_link(link_token: str, password: str, actor: Actor) -> int:
    """Change the address by link and password; return the user's id.

    Raises CodeInvalid, EmailExists, PasswordWrong, TooManyAttempts or Overloaded.
    """
    token = one_time_tokens.by_link(link_token, PURPOSE)
    current.check(token.user_id, password, actor)
    _confirm(token, actor)
    user_id: int = token.user_id
    return user_id


def restore(account: Account, token: Token, actor: Actor) -> None:
    """Restore the address of a disown token, within the caller's transaction.

    The link proves access to the mailbox, so the address is verified. Invalidates the links of
    later notices, which may have been sent to an intruder; earlier links remain valid. Raises
    EmailExists.
    """
    one_time_tokens.invalidate_later(token)
    if account.email_key != token.address_key:
        _set_address(account.id, token.new_email)
        _notify_previous(account, token.address_key, actor)
        audit.record(Event.EMAIL_RESTORED, actor, user_id=account.id)


def find_undo(account: Account, address_key: str) -> Token | None:
    """Return the valid token that restores this address, unless the account has it."""
    tokens = one_time_tokens.outstanding(account.id, DISOWN_PREFIX + CHANGED)
    return next((t for t in tokens if t.address_key == address_key != account.email_key), None)


def lock(user_id: int) -> Account | None:
    """Return an account, locked until the transaction ends."""
    locking = select(*COLUMNS).where(User.id == user_id).with_for_update()
    return db.session.execute(locking).first()


def _is_open(session_id: UUID) -> bool:
    open_session = select(Session.id).where(Session.id == session_id, Session.ended_at.is_(None))
    return db.session.scalar(open_session) is not None


def _confirm(token: Token, actor: Actor, keep: UUID | None = None) -> None:
    with transaction():
        account = lock(token.user_id)
        if account is None or not account.active or account.email_key != token.address_key:
            raise CodeInvalid
        one_time_tokens.consume(token)
        _set_address(account.id, token.new_email)
        ended = sessions.mark_all_ended(account.id, keep)
        one_time_tokens.invalidate(account.id, account.email_key)
        _issue_disown(CHANGED, account)
        _notify_previous(account, identifiers.email_key(token.new_email), actor)
        audit.record(Event.EMAIL_CHANGED, actor, user_id=account.id, sessions_ended=ended)


def _set_address(user_id: int, address: str) -> None:
    """Set the address and mark it as verified. Raises EmailExists; the transaction continues."""
    columns = {"email": address, "email_key": identifiers.email_key(address)}
    times = {"email_verified_at": utcnow(), "mail_refused_at": None}
    try:
        with db.session.begin_nested():
            write_connection().execute(
                update(User).where(User.id == user_id).values(**columns, **times)
            )
    except IntegrityError:
        raise EmailExists from None


def _notify_previous(account: Account, new_key: str, actor: Actor) -> None:
    """Notify the address before the change, and previous ones whose undo link is valid."""
    tokens = one_time_tokens.outstanding(account.id, KINDS[CHANGED].disown_purpose)
    links = {account.email: None} | {token.new_email: token.id for token in tokens}
    for address, disown in sorted(links.items()):
        if identifiers.email_key(address) != new_key:
            is_verified = address == account.email and account.email_verified_at is not None
            addressee = Addressee(account.id, address, account.language, is_verified)
            email.queue_notice(CHANGED, addressee, actor, disown)


def _issue_disown(kind: str, account: Account) -> UUID:
    return one_time_tokens.issue_disown(kind, account.email_key, account.id, account.email)
