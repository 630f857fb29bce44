"""Claiming an account by proof of its mailbox, which removes the access of everybody else."""

from typing import Any

from sqlalchemy import Select, and_, delete, func, select, update

from project.accounts import audit, email, one_time_tokens, sessions
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Account, Addressee
from project.accounts.one_time_tokens import Token
from project.clock import utcnow
from project.errors import CodeInvalid
from project.extensions import autocommit, db
from project.models import KnownNetwork, User

COLUMNS = (
    User.id, User.username, User.email, User.email_key, User.password, User.active, User.language,
    User.email_verified_at, KnownNetwork.last_login_at,
)  # fmt: skip


def find_owner(token: Token, actor: Actor) -> Account:
    """Return the account of a one-time token, with no transaction open. Raises CodeInvalid."""
    return _check(token, autocommit.first(_select_owner(token, actor)))


def lock_owner(token: Token, actor: Actor) -> Account:
    """Return the account, locked until the caller's transaction ends. Raises CodeInvalid."""
    locking = _select_owner(token, actor).with_for_update(key_share=True, of=User)
    return _check(token, db.session.execute(locking).first())


def claim(account: Account, password_hash: str, actor: Actor) -> int:
    """Claim the account within the caller's transaction; return the number of ended sessions.

    Sets the password hash, verifies the address, ends all sessions, invalidates the one-time tokens
    except disown tokens, removes the known networks and queues a notice. Call `throttle.clear`
    after the transaction: it locks its rows in another order than a login does.
    """
    verified_at = func.coalesce(User.email_verified_at, utcnow())
    claiming = update(User).where(User.id == account.id)
    db.session.execute(claiming.values(password=password_hash, email_verified_at=verified_at))
    ended = sessions.mark_all_ended(account.id)
    one_time_tokens.invalidate(account.id, account.email_key)
    db.session.execute(delete(KnownNetwork).where(KnownNetwork.user_id == account.id))
    if account.email_verified_at is None:
        audit.record(Event.ACCOUNT_CLAIMED, actor, user_id=account.id)
    addressee = Addressee(account.id, account.email, account.language)
    email.notify("password_changed", addressee, actor)
    return ended


def _select_owner(token: Token, actor: Actor) -> Select[*tuple[Any, ...]]:
    known = and_(KnownNetwork.user_id == User.id, KnownNetwork.network == actor.network)
    return select(*COLUMNS).outerjoin(KnownNetwork, known).where(User.id == token.user_id)


def _check(token: Token, account: Account | None) -> Account:
    """Return the account if the token is valid for it. Raises CodeInvalid."""
    if account is None or not account.active or account.email_key != token.address_key:
        raise CodeInvalid
    return account
