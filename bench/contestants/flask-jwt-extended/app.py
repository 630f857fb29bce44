"""Register, log in, refresh, log out and get the current user, with Flask-JWT-Extended.

After https://flask-jwt-extended.readthedocs.io/en/stable/blocklist_and_token_revoking.html (a table
with the ids of revoked tokens), .../automatic_user_loading.html and .../refreshing_tokens.html.
Served as in https://flask.palletsprojects.com/en/stable/deploying/gunicorn/. Run this file to make
the schema.
"""

import os
from datetime import UTC, datetime, timedelta

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from flask_bcrypt import Bcrypt
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    current_user,
    get_jwt,
    jwt_required,
)
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.environ["SECRET_KEY"]
# The lifetime of our tokens. No benchmark runs longer.
app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(days=30)
app.config["JWT_REFRESH_TOKEN_EXPIRES"] = timedelta(days=60)
app.config["BCRYPT_LOG_ROUNDS"] = int(os.environ["BENCH_COST"])
# The same driver as our service.
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace(
    "postgresql://", "postgresql+psycopg2://", 1
)
db = SQLAlchemy(app)
bcrypt = Bcrypt(app)
jwt = JWTManager(app)


class User(db.Model):
    """An account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(db.String(128), unique=True)
    email: Mapped[str] = mapped_column(db.String(255), unique=True)
    password: Mapped[str] = mapped_column(db.String(255))
    created_at: Mapped[datetime] = mapped_column(db.DateTime(timezone=True))


class TokenBlocklist(db.Model):
    """A token that was revoked."""

    __tablename__ = "token_blocklist"

    id: Mapped[int] = mapped_column(primary_key=True)
    jti: Mapped[str] = mapped_column(db.String(36), index=True)
    created_at: Mapped[datetime] = mapped_column(db.DateTime(timezone=True))


@jwt.user_identity_loader
def identity_of(user: User) -> str:
    """Return the subject of a token."""
    return str(user.id)


@jwt.user_lookup_loader
def find_user(_header: dict[str, object], payload: dict[str, str]) -> User | None:
    """Return the user of a token."""
    statement = db.select(User).where(User.id == int(payload["sub"]))
    return db.session.scalars(statement).one_or_none()


@jwt.token_in_blocklist_loader
def is_revoked(_header: dict[str, object], payload: dict[str, str]) -> bool:
    """Return whether a token is revoked."""
    statement = db.select(TokenBlocklist.id).where(TokenBlocklist.jti == payload["jti"])
    return db.session.scalar(statement) is not None


@app.post("/register")
def register() -> ResponseReturnValue:
    """Create an account and log it in."""
    payload = request.get_json()
    user = User(
        username=payload["username"],
        email=payload["email"],
        password=bcrypt.generate_password_hash(payload["password"]).decode(),
        created_at=datetime.now(UTC),
    )
    db.session.add(user)
    db.session.commit()
    return token_response(user), 201


@app.post("/login")
def login() -> ResponseReturnValue:
    """Log in with e-mail address and password."""
    payload = request.get_json()
    statement = db.select(User).where(User.email == payload["email"])
    user = db.session.scalars(statement).one_or_none()
    if user is None or not bcrypt.check_password_hash(user.password, payload["password"]):
        return jsonify(msg="Bad email or password"), 401
    return token_response(user)


def token_response(user: User) -> ResponseReturnValue:
    """Return a response with new tokens."""
    return jsonify(
        access_token=create_access_token(identity=user),
        refresh_token=create_refresh_token(identity=user),
    )


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh() -> ResponseReturnValue:
    """Get a new access token for a refresh token."""
    return jsonify(access_token=create_access_token(identity=current_user))


@app.get("/status")
@jwt_required()
def status() -> ResponseReturnValue:
    """Return the authenticated user."""
    return jsonify(
        id=current_user.id,
        username=current_user.username,
        email=current_user.email,
        created_at=current_user.created_at,
    )


@app.delete("/logout")
@jwt_required()
def logout() -> ResponseReturnValue:
    """Revoke the access token."""
    db.session.add(TokenBlocklist(jti=get_jwt()["jti"], created_at=datetime.now(UTC)))
    db.session.commit()
    return jsonify(msg="JWT revoked")


if __name__ == "__main__":
    with app.app_context():
        db.create_all()
