"""Register, log in, log out and get the current user, as tutorials on Flask and JWT write it.

After https://testdriven.io/blog/token-based-authentication-with-flask/: the token names the user;
a table holds the text of every token that was logged out; status looks there, then loads the user.
Served as in https://flask.palletsprojects.com/en/stable/deploying/gunicorn/. Run this file to make
the schema.
"""

import os
from datetime import UTC, datetime, timedelta

import jwt
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from flask_bcrypt import Bcrypt
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
app.config["BCRYPT_LOG_ROUNDS"] = int(os.environ["BENCH_COST"])
# The same driver as our service.
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace(
    "postgresql://", "postgresql+psycopg2://", 1
)
db = SQLAlchemy(app)
bcrypt = Bcrypt(app)

LIFETIME = timedelta(days=30)


class User(db.Model):
    """An account."""

    __tablename__ = "users"

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    username = db.Column(db.String(128), unique=True, nullable=False)
    email = db.Column(db.String(255), unique=True, nullable=False)
    password = db.Column(db.String(255), nullable=False)
    registered_on = db.Column(db.DateTime, nullable=False)
    admin = db.Column(db.Boolean, nullable=False, default=False)


class BlacklistToken(db.Model):
    """A blacklisted token."""

    __tablename__ = "blacklist_tokens"

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    token = db.Column(db.String(500), unique=True, nullable=False)
    blacklisted_on = db.Column(db.DateTime, nullable=False)


def encode_auth_token(user_id: int) -> str:
    """Return a token that names the user."""
    now = datetime.now(UTC)
    payload = {"exp": now + LIFETIME, "iat": now, "sub": str(user_id)}
    return jwt.encode(payload, app.config["SECRET_KEY"], algorithm="HS256")


def decode_auth_token(token: str) -> int | None:
    """Return the user id of a token; None if the token is invalid or blacklisted."""
    try:
        payload = jwt.decode(token, app.config["SECRET_KEY"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return None
    if BlacklistToken.query.filter_by(token=token).first():
        return None
    return int(payload["sub"])


def bearer_token() -> str:
    """Return the bearer token of the request, or an empty string."""
    return request.headers.get("Authorization", "").partition(" ")[2]


def error_response(status: int, message: str) -> ResponseReturnValue:
    """Return an error response."""
    return jsonify(status="fail", message=message), status


def token_response(user: User, status: int, message: str) -> ResponseReturnValue:
    """Return a response with a new token."""
    token = encode_auth_token(user.id)
    return jsonify(status="success", message=message, auth_token=token), status


@app.post("/auth/register")
def register() -> ResponseReturnValue:
    """Create an account and log it in."""
    payload = request.get_json()
    if User.query.filter_by(email=payload["email"]).first():
        return error_response(409, "User already exists. Please log in.")
    user = User(
        username=payload["username"],
        email=payload["email"],
        password=bcrypt.generate_password_hash(payload["password"]).decode(),
        registered_on=datetime.now(UTC).replace(tzinfo=None),
    )
    db.session.add(user)
    db.session.commit()
    return token_response(user, 201, "Successfully registered.")


@app.post("/auth/login")
def login() -> ResponseReturnValue:
    """Log in with e-mail address and password."""
    payload = request.get_json()
    user = User.query.filter_by(email=payload["email"]).first()
    if user is None or not bcrypt.check_password_hash(user.password, payload["password"]):
        return error_response(401, "Invalid credentials.")
    return token_response(user, 200, "Successfully logged in.")


@app.get("/auth/status")
def status() -> ResponseReturnValue:
    """Return the authenticated user."""
    user_id = decode_auth_token(bearer_token())
    if user_id is None:
        return error_response(401, "Please log in again.")
    user = User.query.filter_by(id=user_id).first()
    return jsonify(
        status="success",
        data={
            "user_id": user.id,
            "username": user.username,
            "email": user.email,
            "admin": user.admin,
            "registered_on": user.registered_on,
        },
    )


@app.post("/auth/logout")
def logout() -> ResponseReturnValue:
    """Add the token to the blacklist."""
    token = bearer_token()
    if decode_auth_token(token) is None:
        return error_response(401, "Please log in again.")
    written_at = datetime.now(UTC).replace(tzinfo=None)
    db.session.add(BlacklistToken(token=token, blacklisted_on=written_at))
    db.session.commit()
    return jsonify(status="success", message="Successfully logged out.")


if __name__ == "__main__":
    with app.app_context():
        db.create_all()
