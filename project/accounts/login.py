"""Logging in."""

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from project.accounts import keyring, passwords, sessions
from project.accounts.grants import Grant
from project.accounts.sessions import Client
from project.api.models import User
from project.database import lacks_parent
from project.errors import InvalidCredentials
from project.extensions import db, reads
from project.security import identifiers

BY_EMAIL = select(User.id, User.password).where(User.email_key == bindparam("email_key"))


def login(email: str, password: str, client: Client) -> Grant:
    """Open a session for whoever knows the password. Raises InvalidCredentials.

    An unknown address costs the same hash as a known one, and the database's connection is given
    back before hashing begins.
    """
    found = reads.first(BY_EMAIL, email_key=identifiers.email_key(email))
    if not passwords.matches(found and found.password, password):
        raise InvalidCredentials
    assert found is not None
    keyring.current().prepare()
    try:
        grant = sessions.start(found.id, client)
    except IntegrityError as error:
        if lacks_parent(error):  # the user was deleted while the password was hashed
            raise InvalidCredentials from None
        raise
    db.session.commit()
    return grant
