"""The route to change the password."""

from dataclasses import asdict

from flask import Blueprint

from project.accounts.passwords import change
from project.accounts.sessions import Principal
from project.api.actor import actor
from project.api.guard import authenticate
from project.api.schemas import ChangePasswordRequest, ChangePasswordResponse
from project.errors import Overloaded, PasswordWrong, TooManyAttempts, Unavailable
from project.http.contract import accepts, responds

passwords_blueprint = Blueprint("passwords", __name__)


@passwords_blueprint.post("/auth/password")
@responds(ChangePasswordResponse, PasswordWrong, TooManyAttempts, Overloaded, Unavailable)
@authenticate()
@accepts(ChangePasswordRequest)
def change_password(principal: Principal, payload: ChangePasswordRequest) -> ChangePasswordResponse:
    """Change the password.

    Ends all sessions of the user, including this one, and returns the tokens of a new session.
    """
    grant = change.change(principal.id, payload.current_password, payload.password, actor())
    return ChangePasswordResponse(**asdict(grant))
