"""Registering, logging in and out, and asking who one is."""

from dataclasses import asdict

from flask import Blueprint

from project.accounts import login, refresh, registration, sessions, throttle
from project.accounts.sessions import Identity
from project.api.client import client
from project.api.contract import accepts, accepts_optional, answers
from project.api.guard import TOKEN_REFUSALS, authenticate
from project.api.schemas import (
    LoggedInAnswer,
    LoggedOutAnswer,
    LoginRequest,
    LogoutRequest,
    RefreshedAnswer,
    RefreshRequest,
    RegisteredAnswer,
    RegisterRequest,
    StatusAnswer,
    UserData,
)
from project.api.sessions import sessions_blueprint
from project.errors import (
    InvalidCredentials,
    LogoutTokenMissing,
    Overloaded,
    RefreshReused,
    TooManyAttempts,
    Unavailable,
    UserExists,
)

auth_blueprint = Blueprint("auth", __name__)
auth_blueprint.register_blueprint(sessions_blueprint)


@auth_blueprint.post("/auth/register")
@answers(RegisteredAnswer, UserExists, TooManyAttempts, Overloaded, Unavailable, status=201)
@accepts(RegisterRequest)
def register_user(payload: RegisterRequest) -> RegisteredAnswer:
    """Register an account and log it in."""
    grant = registration.register(payload.username, payload.email, payload.password, client())
    return RegisteredAnswer(**asdict(grant))


@auth_blueprint.post("/auth/login")
@answers(LoggedInAnswer, InvalidCredentials, TooManyAttempts, Overloaded, Unavailable)
@accepts(LoginRequest)
def login_user(payload: LoginRequest) -> LoggedInAnswer:
    """Log in with e-mail address and password."""
    grant = login.login(payload.email, payload.password, client(), payload.device_token)
    return LoggedInAnswer(**asdict(grant))


@auth_blueprint.post("/auth/refresh")
@answers(RefreshedAnswer, *TOKEN_REFUSALS, RefreshReused, TooManyAttempts)
@accepts(RefreshRequest)
def refresh_session(payload: RefreshRequest) -> RefreshedAnswer:
    """Get new tokens for a refresh token; one that was used before is a theft and ends the session.

    For 30 seconds the token of one refresh ago gets the current tokens again: two tabs that refresh
    at once both stay logged in.
    """
    return RefreshedAnswer(**asdict(refresh.refresh(payload.refresh_token, client())))


@auth_blueprint.get("/auth/logout")
@answers(LoggedOutAnswer)
@authenticate(missing=LogoutTokenMissing)
def logout_user(identity: Identity) -> LoggedOutAnswer:
    """End the token's session; its token is refused from then on."""
    sessions.end(identity.id, identity.session_id, client())
    return LoggedOutAnswer()


@auth_blueprint.post("/auth/logout")
@answers(LoggedOutAnswer, TooManyAttempts)
@authenticate(missing=LogoutTokenMissing)
@accepts_optional(LogoutRequest)
def logout_sessions(identity: Identity, payload: LogoutRequest) -> LoggedOutAnswer:
    """End the token's session, or all others of the user, or all."""
    if payload.scope == "local":
        sessions.end(identity.id, identity.session_id, client())
    else:
        throttle.count_write(identity.id, client())
        kept = identity.session_id if payload.scope == "others" else None
        sessions.end_all(identity.id, client(), but=kept)
    return LoggedOutAnswer()


@auth_blueprint.get("/auth/status")
@answers(StatusAnswer)
@authenticate()
def get_user_status(identity: Identity) -> StatusAnswer:
    """Tell who the token shows."""
    return StatusAnswer(admin=identity.admin, data=UserData.model_validate(identity))
