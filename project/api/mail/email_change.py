"""The routes that change the e-mail address of the caller's account."""

from flask import Blueprint

from project.accounts import directory
from project.accounts.email import change
from project.accounts.sessions import Principal
from project.api.actor import actor
from project.api.guard import authenticate, authenticate_if_sent, authenticate_recently
from project.api.schemas import (
    CancelEmailChangeResponse,
    ConfirmEmailChangeRequest,
    ConfirmEmailChangeResponse,
    EmailChangeData,
    EmailChangeRequest,
    EmailChangeResponse,
    StatusData,
)
from project.errors import (
    CodeInvalid,
    EmailExists,
    Overloaded,
    PasswordWrong,
    TokenMissing,
    TooManyAttempts,
)
from project.http.contract import accepts, responds

email_change_blueprint = Blueprint("email_change", __name__)


@email_change_blueprint.post("/auth/email/change")
@responds(EmailChangeResponse, TooManyAttempts, status=202)
@authenticate_recently
@accepts(EmailChangeRequest)
def request_email_change(principal: Principal, payload: EmailChangeRequest) -> EmailChangeResponse:
    """Send a mail to the new address, to confirm it.

    The address of the account changes when the new one is confirmed, within 24 hours. If the
    current address is verified, it gets a notice. If another account has the new address, the
    response is the same, and that account gets a notice instead of a code. Replaces a pending
    change.
    """
    expires_in = change.request(principal, payload.email, actor())
    data = EmailChangeData(pending_email=payload.email, expires_in=expires_in)
    return EmailChangeResponse(data=data)


@email_change_blueprint.post("/auth/email/change/confirm")
@responds(
    ConfirmEmailChangeResponse, CodeInvalid, EmailExists, PasswordWrong, TooManyAttempts, Overloaded
)
@authenticate_if_sent
@accepts(ConfirmEmailChangeRequest)
def confirm_email_change(
    principal: Principal | None, payload: ConfirmEmailChangeRequest
) -> ConfirmEmailChangeResponse:
    """Change the address, with the code in a session, or with the link's token and the password.

    The new address is verified. With the code, all other sessions end; with the link, all sessions.
    The previous address gets a notice with a link that undoes the change for seven days.
    """
    if payload.token is not None and payload.password is not None:
        user_id = change.confirm_by_link(payload.token, payload.password, actor())
    elif principal is None:
        raise TokenMissing
    else:
        user_id = principal.id
        change.confirm_by_code(principal, payload.code or "", actor())
    account = directory.get(user_id)
    return ConfirmEmailChangeResponse(data=StatusData.of(account, email_verified=True))


@email_change_blueprint.delete("/auth/email/change")
@responds(CancelEmailChangeResponse)
@authenticate()
def cancel_email_change(principal: Principal) -> CancelEmailChangeResponse:
    """Cancel a change of the address that has not been confirmed."""
    change.cancel(principal.id)
    return CancelEmailChangeResponse()
