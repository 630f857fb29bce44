"""The caller's account."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, JsonValue

from project.api.schemas.fields import Language, Timestamp, Username, to_json
from project.api.schemas.mail import Password
from project.api.schemas.users import StatusData
from project.http.envelope import Request, SuccessResponse


class ReauthenticateRequest(Request):
    """The password of the account."""

    password: Password


class ReauthenticationData(BaseModel):
    """The time until which the authentication is recent."""

    reauthentication_expires_at: Timestamp


class ReauthenticateResponse(SuccessResponse):
    """The user has authenticated again."""

    message: Literal["Password confirmed."] = "Password confirmed."
    data: ReauthenticationData


class UpdateAccountRequest(Request):
    """The fields to change; the others stay as they are."""

    username: Username | None = None
    language: Annotated[
        Language | None,
        Field(description="The language of mail; null for the language of the request."),
    ] = None


class AccountData(StatusData):
    """The account of the caller, with its settings for mail."""

    pending_email: Annotated[
        str | None, Field(description="The new address of a change that is not confirmed yet.")
    ]
    language: Annotated[str | None, Field(examples=["de"])]
    mail_refused: Annotated[
        bool, Field(description="Whether a mail server has reported that the address is unknown.")
    ]


class AccountResponse(SuccessResponse):
    """The account of the caller."""

    data: AccountData


class ExportResponse(SuccessResponse):
    """The data that the service stores about the caller."""

    data: Annotated[
        dict[str, list[dict[str, Annotated[JsonValue, BeforeValidator(to_json)]]]],
        Field(description="The rows of each table, without hashes, secrets and tokens."),
    ]


class DeletionData(BaseModel):
    """The time at which the account is erased."""

    final_at: Timestamp


class DeleteAccountResponse(SuccessResponse):
    """The account is deactivated, and will be erased."""

    message: Literal["Account deleted."] = "Account deleted."
    data: DeletionData
