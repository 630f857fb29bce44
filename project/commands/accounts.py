"""Commands that create, change and delete accounts."""

import getpass
import sys
from typing import Annotated

from project.accounts import lifecycle, registration
from project.accounts.actors import COMMAND
from project.api.schemas import RegisterRequest
from project.commands.console import (
    CommandFailed,
    Yes,
    confirm,
    database_name,
    describe,
    pluralize,
)
from project.errors import InvalidPayload, UserExists
from project.http.payload import validate

SEEDED_USERS = (
    ("michael", "michael@example.com"),
    ("michaelherman", "michaelherman@example.com"),
)
SEEDED_PASSWORD = "test"

Email = Annotated[str, "The account's e-mail address."]


def seed_db(yes: Yes = False) -> None:
    """Create the users michael and michaelherman, password `test`, unless they exist."""
    confirm(f"seed_db creates users with a known password in {database_name()}.", yes)
    for username, email in SEEDED_USERS:
        try:
            registration.add_user(username, email, SEEDED_PASSWORD, COMMAND)
            print(f"Created {username} <{email}> in {database_name()}.")
        except UserExists:
            print(f"Skipped {username} <{email}>: already exists in {database_name()}.")
        except InvalidPayload as error:
            raise CommandFailed(
                f"no user was created: PASSWORD_POLICY is on. {describe(error)}"
            ) from None


def create_admin(
    username: Annotated[str, "The administrator's username."],
    email: Annotated[str, "The administrator's e-mail address."],
) -> None:
    """Create an administrator. Asks for the password, or reads it from standard input."""
    fields = {"username": username, "email": email, "password": _read_password()}
    try:
        account = validate(RegisterRequest, fields)
        registration.add_user(
            account.username, account.email, account.password, COMMAND, admin=True
        )
    except InvalidPayload as error:
        raise CommandFailed(f"no administrator was created. {describe(error)}") from None
    except UserExists as error:
        raise CommandFailed(f"no administrator was created. {error.message}") from None
    print(f"Created administrator {username} <{email}> in {database_name()}.")


def deactivate_user(email: Email) -> None:
    """Deactivate an account and end its sessions."""
    ended = pluralize(lifecycle.deactivate(email), "session")
    print(f"Deactivated {email} in {database_name()}; {ended} ended.")


def activate_user(email: Email) -> None:
    """Reactivate an account."""
    lifecycle.activate(email)
    print(f"Reactivated {email} in {database_name()}.")


def delete_user(
    email: Email,
    yes: Yes = False,
    last_admin: Annotated[bool, "Delete the account even if it is the last administrator."] = False,
) -> None:
    """Delete an account and end its sessions."""
    if lifecycle.is_last_admin(email) and not last_admin:
        raise CommandFailed(
            f"{email} is the last active administrator of {database_name()}: create another one "
            "first, or add --last-admin."
        )
    confirm(f"delete_user deletes {email} from {database_name()}.", yes, in_development=True)
    ended = pluralize(lifecycle.remove(email), "session")
    print(f"Deleted {email} from {database_name()}; {ended} ended.")


def _read_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Password again: "):
        raise CommandFailed("no administrator was created. The passwords differ.")
    return password
