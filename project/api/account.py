"""The routes of the caller's account."""

from dataclasses import asdict

from flask import Blueprint

from project.accounts import reauthentication
from project.accounts.passwords import change
from project.accounts.sessions import Principal
from project.api.actor import actor
from project.api.guard import authenticate
from project.api.schemas import (
    ChangePasswordRequest,
    ChangePasswordResponse,
    ReauthenticateRequest,
    ReauthenticateResponse,
    ReauthenticationData,
)
from project.errors import Overloaded, PasswordWrong, TooManyAttempts, Unavailable
from project.http.contract import accepts, responds

account_blueprint = Blueprint("account", __name__)


@account_blueprint.post("/auth/reauthenticate")
@responds(ReauthenticateResponse, PasswordWrong, TooManyAttempts, Overloaded, Unavailable)
@authenticate()
@accepts(ReauthenticateRequest)
def reauthenticate(principal: Principal, payload: ReauthenticateRequest) -> ReauthenticateResponse:
    """Check the password again, so that sensitive operations accept this session.

    The attempt counts as a login attempt.
    """
    until = reauthentication.reauthenticate(principal, payload.password, actor())
    return ReauthenticateResponse(data=ReauthenticationData(reauthentication_expires_at=until))


@account_blueprint.post("/auth/password")
@responds(ChangePasswordResponse, PasswordWrong, TooManyAttempts, Overloaded, Unavailable)
@authenticate()
@accepts(ChangePasswordRequest)
def change_password(principal: Principal, payload: ChangePasswordRequest) -> ChangePasswordResponse:
    """Change the password.

    Ends all sessions of the user, including this one, and returns the tokens of a new session.
    """
    grant = change.change(principal.id, payload.current_password, payload.password, actor())
    return ChangePasswordResponse(**asdict(grant))
