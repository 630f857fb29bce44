"""The extension objects, each made once and bound to an app by `init_app`."""

from pathlib import Path

from flask_bcrypt import Bcrypt
from flask_cors import CORS
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from project.database import Base, ReadEngine

MIGRATIONS = Path(__file__).parent.parent / "migrations"

db = SQLAlchemy(model_class=Base)
reads = ReadEngine()
bcrypt = Bcrypt()
migrate = Migrate(directory=str(MIGRATIONS))
cors = CORS()
