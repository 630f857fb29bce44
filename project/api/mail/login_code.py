"""Login with a code or a link from a mail. Registered only if EMAIL_LOGIN is on."""

from dataclasses import asdict

from flask import Blueprint

from project.accounts.email import login_code
from project.api.actor import actor
from project.api.schemas import (
    ConfirmLoginCodeRequest,
    LoginCodeRequest,
    LoginResponse,
    MailRequested,
    MailRequestedResponse,
)
from project.errors import CodeInvalid, TooManyAttempts, Unavailable
from project.http.contract import accepts, responds

login_code_blueprint = Blueprint("login_code", __name__)


@login_code_blueprint.post("/auth/login/code")
@responds(MailRequestedResponse, TooManyAttempts, Unavailable, status=202)
@accepts(LoginCodeRequest)
def request_login_code(payload: LoginCodeRequest) -> MailRequestedResponse:
    """Send a mail to log in without a password.

    The response is the same whether or not an account has this address.
    """
    requested = login_code.request(payload.email, actor())
    return MailRequestedResponse(data=MailRequested(**asdict(requested)))


@login_code_blueprint.post("/auth/login/code/confirm")
@responds(LoginResponse, CodeInvalid, Unavailable)
@accepts(ConfirmLoginCodeRequest)
def confirm_login_code(payload: ConfirmLoginCodeRequest) -> LoginResponse:
    """Log in with the code or the link from the mail, and the `request_id` of the request.

    The first login to an account whose address is not verified verifies it, ends all earlier
    sessions and removes the password.
    """
    if payload.token is not None:
        issued = login_code.confirm_by_link(payload.request_id, payload.token, actor())
    else:
        issued = login_code.confirm_by_code(payload.request_id, payload.code or "", actor())
    return LoginResponse(**asdict(issued))
