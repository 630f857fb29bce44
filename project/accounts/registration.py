"""Making accounts: nothing is looked up before, the unique indexes decide who was first."""

from sqlalchemy.exc import IntegrityError

from project.accounts import directory, sessions
from project.accounts.grants import Grant
from project.api.models import User
from project.errors import EmailExists, UserExists
from project.extensions import db


def register(username: str, email: str, password: str) -> Grant:
    """Make an account and log it in. Raises UserExists, whichever of the two is taken."""
    user = _insert(User(username=username, email=email, password=password))
    grant = sessions.start(user.id)
    db.session.commit()
    return grant


def add_user(username: str, email: str, password: str, *, admin: bool = False) -> User:
    """Make an account for somebody else. Raises EmailExists, or UserExists for the username."""
    try:
        user = _insert(User(username=username, email=email, password=password, admin=admin))
    except UserExists:
        # Where both are taken each database names the key that it happened to look at first.
        if directory.knows_email(email):
            raise EmailExists from None
        raise
    db.session.commit()
    return user


def _insert(user: User) -> User:
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise UserExists from None
    return user
