"""Registering, logging in and out, and asking who one is."""

from flask import Blueprint

from project.accounts import login, registration, sessions
from project.accounts.sessions import Grant, Identity
from project.api.contract import accepts, answers
from project.api.guard import authenticate
from project.api.schemas import (
    LoginRequest,
    MessageAnswer,
    RegisterRequest,
    StatusAnswer,
    TokenAnswer,
    UserData,
)
from project.errors import InvalidCredentials, LogoutTokenMissing, Unavailable, UserExists

auth_blueprint = Blueprint("auth", __name__)


@auth_blueprint.post("/auth/register")
@answers(TokenAnswer, UserExists, Unavailable, status=201)
@accepts(RegisterRequest)
def register_user(payload: RegisterRequest) -> TokenAnswer:
    """Register an account and log it in."""
    grant = registration.register(payload.username, payload.email, payload.password)
    return _token_answer("Successfully registered.", grant)


@auth_blueprint.post("/auth/login")
@answers(TokenAnswer, InvalidCredentials, Unavailable)
@accepts(LoginRequest)
def login_user(payload: LoginRequest) -> TokenAnswer:
    """Log in with e-mail address and password."""
    grant = login.login(payload.email, payload.password)
    return _token_answer("Successfully logged in.", grant)


@auth_blueprint.get("/auth/logout")
@answers(MessageAnswer)
@authenticate(missing=LogoutTokenMissing)
def logout_user(identity: Identity) -> MessageAnswer:
    """End the token's session; its token is refused from then on."""
    sessions.end(identity.session_id)
    return MessageAnswer(message="Successfully logged out.")


@auth_blueprint.get("/auth/status")
@answers(StatusAnswer)
@authenticate()
def get_user_status(identity: Identity) -> StatusAnswer:
    """Tell who the token shows."""
    return StatusAnswer(admin=identity.admin, data=UserData.model_validate(identity))


def _token_answer(message: str, grant: Grant) -> TokenAnswer:
    seconds = int(grant.lifetime.total_seconds())
    return TokenAnswer(message=message, auth_token=grant.auth_token, expires_in=seconds)
