"""The extension objects, each made once and bound to an app by `init_app`."""

from pathlib import Path

from flask_bcrypt import Bcrypt
from flask_cors import CORS
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from project.database.base import Base
from project.database.reads import ReadEngine

MIGRATIONS = Path(__file__).parent.parent / "migrations"

db = SQLAlchemy(model_class=Base)
reads = ReadEngine()
bcrypt = Bcrypt()
migrate = Migrate(directory=str(MIGRATIONS))
cors = CORS()


def writing() -> Connection:
    """Return the connection of the request's transaction: for statements that need no ORM."""
    return db.session.connection()


def end_transaction(_error: BaseException | None = None) -> None:
    """End what a request has left open, when its answer is made.

    A database that is away has ended it already, and must not turn that answer into a fault.
    """
    if not db.session.registry.has():
        return
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session().invalidate()
