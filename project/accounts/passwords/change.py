"""Changing a user's password."""

from dataclasses import asdict

from sqlalchemy import update

from project.accounts import devices, email, one_time_tokens, passwords, sessions
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Addressee
from project.accounts.passwords import current
from project.accounts.sessions.tokens import LoginTokens
from project.accounts.signing_keys import source
from project.errors import PasswordWrong
from project.extensions import transaction, write_connection
from project.models import User


def change(user_id: int, current_password: str, password: str, actor: Actor) -> LoginTokens:
    """Set a new password, end all sessions of the user and start a new one.

    Raises PasswordWrong, TooManyAttempts, InvalidPayload for a weak password, or Overloaded.
    """
    account = current.check(user_id, current_password, actor)
    passwords.check_new_password(password, username=account.username, email=account.email)
    new_hash = User.hash_password(password, actor.site)
    key = source.current().signing_key()
    with transaction():
        _replace(user_id, account.password, new_hash)
        sessions.end_for_password(user_id, actor)
        one_time_tokens.invalidate(user_id, account.email_key)
        email.notify("password_changed", Addressee(user_id, account.email, account.language), actor)
        grant = sessions.start(user_id, actor, Event.PASSWORD_CHANGED, key, account.last_login_at)
    return LoginTokens(**asdict(grant), device_token=devices.issue(user_id, new_hash))


def _replace(user_id: int, kept_hash: str, new_hash: str) -> None:
    """Replace the password hash. Raises PasswordWrong if it was changed meanwhile."""
    unchanged = update(User).where(User.id == user_id, User.password == kept_hash)
    replaced = write_connection().execute(unchanged.values(password=new_hash).returning(User.id))
    if replaced.first() is None:
        raise PasswordWrong
