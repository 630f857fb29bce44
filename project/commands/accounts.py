"""Commands about accounts."""

import getpass
import sys

from project.accounts import lifecycle, registration
from project.accounts.clients import COMMAND
from project.api.payload import validate
from project.api.schemas import RegisterRequest
from project.commands.console import CommandFailed, refuse_in_production, told
from project.errors import InvalidPayload, UserExists

SEEDED_USERS = (
    ("michael", "michael@example.com"),
    ("michaelherman", "michaelherman@example.com"),
)
SEEDED_PASSWORD = "test"


def seed_db(yes: bool = False) -> None:
    """Make the users michael and michaelherman, password `test`; those that exist stay."""
    refuse_in_production("seed_db", yes)
    for username, email in SEEDED_USERS:
        try:
            registration.add_user(username, email, SEEDED_PASSWORD, COMMAND)
            print(f"Made {username} <{email}>.")
        except UserExists:
            print(f"Kept {username} <{email}>, who existed.")
        except InvalidPayload as refusal:
            raise CommandFailed(
                f"no user was made: PASSWORD_POLICY is on. {told(refusal)}"
            ) from None


def create_admin(username: str, email: str) -> None:
    """Make an administrator; the password is asked for, or read from standard input."""
    asked = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline()
    fields = {"username": username, "email": email, "password": asked.rstrip("\n")}
    try:
        account = validate(RegisterRequest, fields)
        registration.add_user(
            account.username, account.email, account.password, COMMAND, admin=True
        )
    except InvalidPayload as refusal:
        raise CommandFailed(f"no administrator was made. {told(refusal)}") from None
    except UserExists as refusal:
        raise CommandFailed(f"no administrator was made. {refusal.message}") from None
    print(f"Made the administrator {username} <{email}>.")


def deactivate_user(email: str) -> None:
    """Take an account out of use; its sessions end."""
    print(f"Took {email} out of use; {lifecycle.deactivate(email)} sessions ended.")


def activate_user(email: str) -> None:
    """Take an account back into use."""
    lifecycle.activate(email)
    print(f"Took {email} back into use.")


def delete_user(email: str) -> None:
    """Delete an account; its sessions end."""
    print(f"Deleted {email}; {lifecycle.remove(email)} sessions ended.")
