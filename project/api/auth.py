"""Registration, login, refresh, logout and status."""

from dataclasses import asdict

from flask import Blueprint

from project.accounts import login, registration, sessions, throttle
from project.accounts.sessions import Principal, refresh
from project.api.account import account_blueprint
from project.api.actor import actor, set_user
from project.api.features import features_blueprint
from project.api.guard import TOKEN_ERRORS, authenticate
from project.api.schemas import (
    LoginRequest,
    LoginResponse,
    LogoutRequest,
    LogoutResponse,
    RefreshRequest,
    RefreshResponse,
    RegisterRequest,
    RegisterResponse,
    StatusData,
    StatusResponse,
)
from project.api.sessions import sessions_blueprint
from project.errors import (
    InvalidCredentials,
    LogoutTokenMissing,
    Overloaded,
    RefreshReused,
    RefreshSuperseded,
    RegistrationClosed,
    TooManyAttempts,
    Unavailable,
    UserExists,
)
from project.http.contract import accepts, accepts_optional, responds

auth_blueprint = Blueprint("auth", __name__)
auth_blueprint.register_blueprint(sessions_blueprint)
auth_blueprint.register_blueprint(account_blueprint)
auth_blueprint.register_blueprint(features_blueprint)


@auth_blueprint.post("/auth/register")
@responds(
    RegisterResponse,
    UserExists,
    RegistrationClosed,
    TooManyAttempts,
    Overloaded,
    Unavailable,
    status=201,
)
@accepts(RegisterRequest)
def register_user(payload: RegisterRequest) -> RegisterResponse:
    """Create an account and start its first session."""
    issued = registration.register(payload.username, payload.email, payload.password, actor())
    return RegisterResponse(**asdict(issued))


@auth_blueprint.post("/auth/login")
@responds(LoginResponse, InvalidCredentials, TooManyAttempts, Overloaded, Unavailable)
@accepts(LoginRequest)
def login_user(payload: LoginRequest) -> LoginResponse:
    """Log in with an e-mail address and a password.

    An unknown address and a wrong password get the same response after the same time.
    """
    issued = login.login(payload.email, payload.password, actor(), payload.device_token)
    return LoginResponse(**asdict(issued))


@auth_blueprint.post("/auth/refresh")
@responds(RefreshResponse, *TOKEN_ERRORS, RefreshReused, RefreshSuperseded, TooManyAttempts)
@accepts(RefreshRequest)
def refresh_session(payload: RefreshRequest) -> RefreshResponse:
    """Exchange a refresh token for a new pair of tokens.

    Reusing a refresh token ends the session. For 30 seconds, the previous refresh token returns the
    current tokens again, up to ten times, so that two tabs can refresh at the same time.
    """
    claims = refresh.decode(payload.refresh_token)
    set_user(claims.user_id, claims.session_id)
    return RefreshResponse(**asdict(refresh.refresh(claims, actor())))


@auth_blueprint.get("/auth/logout", head=False)
@responds(LogoutResponse)
@authenticate(missing=LogoutTokenMissing)
def logout_user(principal: Principal) -> LogoutResponse:
    """End the session of the token; the token is rejected from then on."""
    sessions.end(principal.id, principal.session_id, actor())
    return LogoutResponse()


@auth_blueprint.post("/auth/logout")
@responds(LogoutResponse, TooManyAttempts)
@authenticate(missing=LogoutTokenMissing)
@accepts_optional(LogoutRequest)
def logout_sessions(principal: Principal, payload: LogoutRequest) -> LogoutResponse:
    """End this session, all other sessions of the user, or all of them."""
    if payload.scope == "local":
        sessions.end(principal.id, principal.session_id, actor())
    else:
        throttle.count_write(principal.id, actor())
        kept = principal.session_id if payload.scope == "others" else None
        sessions.end_all(principal.id, actor(), keep=kept)
    return LogoutResponse()


@auth_blueprint.get("/auth/status")
@responds(StatusResponse)
@authenticate()
def get_user_status(principal: Principal) -> StatusResponse:
    """Return the authenticated user."""
    return StatusResponse(admin=principal.admin, data=StatusData.model_validate(principal))
