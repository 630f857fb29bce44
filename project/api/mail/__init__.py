"""The mail routes: resets, verification and notices. Not registered if MAIL_URL is `none:`."""

from dataclasses import asdict

from flask import Blueprint

from project.accounts import directory
from project.accounts.email import disown, verification
from project.accounts.passwords import reset
from project.accounts.sessions import Principal
from project.api.actor import actor
from project.api.guard import authenticate, authenticate_if_sent, require_admin_write
from project.api.mail.email_change import email_change_blueprint
from project.api.schemas import (
    AlreadyVerifiedResponse,
    ConfirmResetRequest,
    ConfirmResetResponse,
    ConfirmVerificationRequest,
    ConfirmVerificationResponse,
    DisownRequest,
    DisownResponse,
    MailRequested,
    MailRequestedResponse,
    ResetPasswordRequest,
    ResetRequestedResponse,
    StatusData,
    VerificationRequestedResponse,
)
from project.api.users import USER_ID
from project.errors import (
    CodeInvalid,
    EmailExists,
    Overloaded,
    PasswordWrong,
    TokenMissing,
    TooManyAttempts,
    Unavailable,
    UserNotFound,
)
from project.http.contract import accepts, responds

mail_blueprint = Blueprint("mail", __name__)
mail_blueprint.register_blueprint(email_change_blueprint)


@mail_blueprint.post("/auth/password/reset")
@responds(MailRequestedResponse, TooManyAttempts, Unavailable, status=202)
@accepts(ResetPasswordRequest)
def request_password_reset(payload: ResetPasswordRequest) -> MailRequestedResponse:
    """Send a mail to reset the password.

    The response is the same whether or not an account has this address.
    """
    requested = reset.request(payload.email, actor())
    return MailRequestedResponse(data=MailRequested(**asdict(requested)))


@mail_blueprint.post("/auth/password/reset/confirm")
@responds(ConfirmResetResponse, CodeInvalid, Overloaded, Unavailable)
@accepts(ConfirmResetRequest)
def confirm_password_reset(payload: ConfirmResetRequest) -> ConfirmResetResponse:
    """Set a new password with the link or the code from the mail.

    Ends all sessions and verifies the address. A weak password does not consume the code.
    """
    if payload.token is not None:
        reset.confirm_by_link(payload.token, payload.password, actor())
    else:
        request_id, code = payload.request_id or "", payload.code or ""
        reset.confirm_by_code(request_id, code, payload.password, actor())
    return ConfirmResetResponse()


@mail_blueprint.post("/users/<user_id>/password-reset")
@responds(ResetRequestedResponse, UserNotFound, status=202)
@require_admin_write
def request_reset_for_user(user_id: str) -> ResetRequestedResponse:
    """Send a mail to reset the password to another user, as an administrator."""
    if not USER_ID.fullmatch(user_id):
        raise UserNotFound
    reset.request_for(int(user_id), actor())
    return ResetRequestedResponse()


@mail_blueprint.post("/auth/email/verification")
@responds(
    VerificationRequestedResponse,
    TooManyAttempts,
    status=202,
    already_done=AlreadyVerifiedResponse,
)
@authenticate()
def request_email_verification(
    principal: Principal,
) -> VerificationRequestedResponse | AlreadyVerifiedResponse:
    """Send the verification mail again; respond with 200 if the address is verified already."""
    requested = verification.request(principal, actor())
    if requested is None:
        return AlreadyVerifiedResponse()
    return VerificationRequestedResponse(data=MailRequested(**asdict(requested)))


@mail_blueprint.post("/auth/email/verification/confirm")
@responds(ConfirmVerificationResponse, CodeInvalid, PasswordWrong, TooManyAttempts, Overloaded)
@authenticate_if_sent
@accepts(ConfirmVerificationRequest)
def confirm_email_verification(
    principal: Principal | None, payload: ConfirmVerificationRequest
) -> ConfirmVerificationResponse:
    """Verify the address, with the code in a session, or with the link's token and the password.

    The mail alone is not sufficient: verification also requires access to the account.
    """
    if payload.token is not None and payload.password is not None:
        user_id = verification.confirm_by_link(payload.token, payload.password, actor())
    elif principal is None:
        raise TokenMissing
    else:
        user_id = principal.id
        verification.confirm_by_code(user_id, payload.code or "", actor())
    account = directory.get(user_id)
    return ConfirmVerificationResponse(data=StatusData.of(account, email_verified=True))


@mail_blueprint.post("/auth/disown")
@responds(DisownResponse, CodeInvalid, EmailExists, Unavailable)
@accepts(DisownRequest)
def disown_notice(payload: DisownRequest) -> DisownResponse:
    """Undo the change that a notice reports, with the token from its "This was not me" link.

    The effect depends on the notice. For a changed password or username and for a new login, ends
    all sessions, disables the password and sends a mail to reset it. For a changed e-mail address,
    or if the address was changed since the notice, also restores the previous one; if another
    account has it by now, returns `email_exists`, and the link remains valid. For a requested
    change of the address, cancels it. For a deletion, reactivates the account. For a registration,
    deletes the account if its address is still unverified.
    """
    disown.disown(payload.token, actor())
    return DisownResponse()
