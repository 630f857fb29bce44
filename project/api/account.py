"""The routes of the caller's account."""

from dataclasses import asdict

from flask import Blueprint

from project.accounts import export, profile, reauthentication
from project.accounts.lifecycle import deletion
from project.accounts.passwords import change
from project.accounts.sessions import Principal
from project.api.actor import actor
from project.api.guard import authenticate, authenticate_recently
from project.api.schemas import (
    AccountData,
    AccountResponse,
    ChangePasswordRequest,
    ChangePasswordResponse,
    DeleteAccountResponse,
    DeletionData,
    ExportResponse,
    ReauthenticateRequest,
    ReauthenticateResponse,
    ReauthenticationData,
    UpdateAccountRequest,
)
from project.errors import (
    LastAdmin,
    Overloaded,
    PasswordWrong,
    ReauthenticationRequired,
    TooManyAttempts,
    Unavailable,
    UserExists,
)
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
    issued = change.change(principal.id, payload.current_password, payload.password, actor())
    return ChangePasswordResponse(**asdict(issued))


@account_blueprint.get("/auth/account")
@responds(AccountResponse)
@authenticate()
def get_account(principal: Principal) -> AccountResponse:
    """Return the account of the caller, with its settings for mail."""
    return AccountResponse(data=AccountData(**profile.get(principal.id)))


@account_blueprint.patch("/auth/account")
@responds(AccountResponse, UserExists, ReauthenticationRequired, TooManyAttempts)
@authenticate()
@accepts(UpdateAccountRequest)
def update_account(principal: Principal, payload: UpdateAccountRequest) -> AccountResponse:
    """Change the username or the language of mail.

    A change of the username requires a recent authentication, and sends a notice. The former
    username stays reserved for this account for 30 days.
    """
    profile.update_account(principal, payload.model_dump(exclude_unset=True), actor())
    return AccountResponse(data=AccountData(**profile.get(principal.id)))


@account_blueprint.get("/auth/account/export", head=False)
@responds(ExportResponse, TooManyAttempts)
@authenticate_recently
def export_account(principal: Principal) -> ExportResponse:
    """Return all data that the service stores about the caller."""
    return ExportResponse(data=export.export(principal.id, actor()))


@account_blueprint.delete("/auth/account")
@responds(DeleteAccountResponse, LastAdmin)
@authenticate_recently
def delete_account(principal: Principal) -> DeleteAccountResponse:
    """Delete the account of the caller.

    Ends all sessions and deactivates the account at once. Until `final_at`, the link in the
    farewell mail restores the account; then its data is erased.
    """
    final_at = deletion.request(principal, actor())
    return DeleteAccountResponse(data=DeletionData(final_at=final_at))
