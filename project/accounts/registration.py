"""Making accounts: nothing is looked up before, the unique indexes decide who was first."""

from sqlalchemy.exc import IntegrityError

from project.accounts import sessions
from project.accounts.sessions import Grant
from project.api.models import User
from project.errors import EmailExists, UserExists
from project.extensions import db


def register(username: str, email: str, password: str) -> Grant:
    """Make an account and log it in. Raises UserExists, whichever of the two is taken."""
    try:
        user = _insert(User(username=username, email=email, password=password))
    except EmailExists:
        raise UserExists from None
    grant = sessions.start(user.id)
    db.session.commit()
    return grant


def add_user(username: str, email: str, password: str, *, admin: bool = False) -> User:
    """Make an account for somebody else. Raises EmailExists, or UserExists for the username."""
    user = _insert(User(username=username, email=email, password=password, admin=admin))
    db.session.commit()
    return user


def _insert(user: User) -> User:
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError as error:
        db.session.rollback()
        raise _taken(error) from None
    return user


def _taken(error: IntegrityError) -> UserExists:
    # Both databases name the index in the first line; PostgreSQL's second line holds the value.
    reason = str(error.orig).splitlines()[0]
    return EmailExists() if User.email_key.key in reason else UserExists()
