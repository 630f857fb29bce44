"""Registering, logging in and out, and asking who one is."""

from flask import Blueprint

from project.accounts import login, registration, sessions
from project.accounts.sessions import Identity
from project.api.contract import accepts, answers
from project.api.guard import authenticate
from project.api.schemas import (
    LoggedInAnswer,
    LoggedOutAnswer,
    LoginRequest,
    RegisteredAnswer,
    RegisterRequest,
    StatusAnswer,
    UserData,
)
from project.errors import InvalidCredentials, LogoutTokenMissing, Unavailable, UserExists

auth_blueprint = Blueprint("auth", __name__)


@auth_blueprint.post("/auth/register")
@answers(RegisteredAnswer, UserExists, Unavailable, status=201)
@accepts(RegisterRequest)
def register_user(payload: RegisterRequest) -> RegisteredAnswer:
    """Register an account and log it in."""
    grant = registration.register(payload.username, payload.email, payload.password)
    return RegisteredAnswer(auth_token=grant.auth_token, expires_in=grant.seconds)


@auth_blueprint.post("/auth/login")
@answers(LoggedInAnswer, InvalidCredentials, Unavailable)
@accepts(LoginRequest)
def login_user(payload: LoginRequest) -> LoggedInAnswer:
    """Log in with e-mail address and password."""
    grant = login.login(payload.email, payload.password)
    return LoggedInAnswer(auth_token=grant.auth_token, expires_in=grant.seconds)


@auth_blueprint.get("/auth/logout")
@answers(LoggedOutAnswer)
@authenticate(missing=LogoutTokenMissing)
def logout_user(identity: Identity) -> LoggedOutAnswer:
    """End the token's session; its token is refused from then on."""
    sessions.end(identity.session_id)
    return LoggedOutAnswer()


@auth_blueprint.get("/auth/status")
@answers(StatusAnswer)
@authenticate()
def get_user_status(identity: Identity) -> StatusAnswer:
    """Tell who the token shows."""
    return StatusAnswer(admin=identity.admin, data=UserData.model_validate(identity))
