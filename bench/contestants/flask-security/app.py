"""Register, log in, log out and get the current user, with Flask-Security's tokens.

After https://flask-security.readthedocs.io/en/stable/quickstart.html (with Flask-SQLAlchemy),
.../spa.html and .../patterns.html. There are no cookies, so CSRF protection is off. Registration
and login use the extension's own views. Its logout does not revoke tokens; a new `fs_uniquifier`
revokes all tokens of a user. Served as in
https://flask.palletsprojects.com/en/stable/deploying/gunicorn/. Run this file to create the schema.
"""

import os
from datetime import timedelta

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from flask_security import Security, SQLAlchemyUserDatastore, auth_required, current_user
from flask_security.models import fsqla_v3 as fsqla
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
app.config["SECURITY_PASSWORD_SALT"] = os.environ["SECRET_KEY"]
app.config["SECURITY_PASSWORD_HASH"] = "bcrypt"
app.config["SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS"] = {
    "bcrypt__rounds": int(os.environ["BENCH_COST"])
}
# The lifetime of our tokens. No benchmark runs longer.
app.config["SECURITY_TOKEN_MAX_AGE"] = timedelta(days=30)
app.config["SECURITY_REGISTERABLE"] = True
app.config["SECURITY_PASSWORD_CONFIRM_REQUIRED"] = False
# There is no mail server, and no name server to check addresses.
app.config["SECURITY_SEND_REGISTER_EMAIL"] = False
app.config["SECURITY_EMAIL_VALIDATOR_ARGS"] = {"check_deliverability": False}
app.config["WTF_CSRF_ENABLED"] = False
# The same driver as our service.
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace(
    "postgresql://", "postgresql+psycopg2://", 1
)
# As in the quickstart: PostgreSQL may close idle connections.
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_pre_ping": True}
db = SQLAlchemy(app)
fsqla.FsModels.set_db_info(db)


class Role(db.Model, fsqla.FsRoleMixin):
    """A role of Flask-Security, which no user has here."""


class User(db.Model, fsqla.FsUserMixin):
    """An account."""


security = Security(app, SQLAlchemyUserDatastore(db, User, Role))


@app.get("/status")
@auth_required("token")
def status() -> ResponseReturnValue:
    """Return the authenticated user."""
    return jsonify(
        id=current_user.id,
        email=current_user.email,
        active=current_user.active,
        created_at=current_user.create_datetime,
    )


@app.post("/logout-tokens")
@auth_required("token")
def logout() -> ResponseReturnValue:
    """End every token and session of the user."""
    security.datastore.set_uniquifier(current_user)
    security.datastore.commit()
    return jsonify(message="Logged out.")


if __name__ == "__main__":
    with app.app_context():
        db.create_all()
