"""Password changes and resets, verification of addresses, and notices."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from project.api.schemas.auth import DeviceTokenResponse
from project.api.schemas.fields import Email, NewPassword, Text
from project.api.schemas.users import StatusData
from project.http.envelope import QueryRequest, Request, SuccessResponse

LinkToken = Annotated[Text, Field(description="The `token` of the link in the mail.")]
Code = Annotated[Text, Field(description="The code in the mail.", examples=["WDJB-MJHT"])]
Password = Annotated[Text, Field(examples=["correct horse battery staple"])]


class ChangePasswordRequest(Request):
    """The current password and a new one."""

    current_password: Password
    password: NewPassword


class ChangePasswordResponse(DeviceTokenResponse):
    """The password was changed; all sessions have ended, and this is a new one."""

    message: Literal["Password changed."] = "Password changed."


class ResetPasswordRequest(Request):
    """The address of an account."""

    email: Email


class MailRequested(BaseModel):
    """A request for mail."""

    request_id: Annotated[str, Field(description="Send it with the code from the mail.")]
    expires_in: Annotated[int, Field(description="Seconds.", examples=[1800])]
    resend_in: Annotated[int, Field(description="Seconds.", examples=[60])]


class MailRequestedResponse(SuccessResponse):
    """The same response for every address, with or without an account."""

    message: Literal["If an account has this address, a mail is on its way."] = (
        "If an account has this address, a mail is on its way."
    )
    data: MailRequested


class VerificationRequestedResponse(SuccessResponse):
    """The verification mail will be sent."""

    message: Literal["A mail is on its way."] = "A mail is on its way."
    data: MailRequested


class AlreadyVerifiedResponse(SuccessResponse):
    """The address is verified already, so no mail is sent."""

    message: Literal["Your address is verified."] = "Your address is verified."
    data: None = None


class ResetRequestedResponse(SuccessResponse):
    """The user gets a mail, unless the account is inactive."""

    message: Literal["A mail is on its way."] = "A mail is on its way."


class ConfirmResetRequest(Request):
    """A new password, with the link's token or with the code and its `request_id`."""

    token: LinkToken | None = None
    request_id: Text | None = None
    code: Code | None = None
    password: NewPassword

    @model_validator(mode="after")
    def _has_proof(self) -> Self:
        if self.token is None and None in (self.request_id, self.code):
            raise PydanticCustomError(
                "proof_missing", "This needs `token`, or `request_id` and `code`."
            )
        return self


class ConfirmResetResponse(SuccessResponse):
    """The password was changed, and all sessions have ended."""

    message: Literal["Password changed. Please log in."] = "Password changed. Please log in."


class LoginCodeRequest(ResetPasswordRequest):
    """The address of the account to log in to."""


class ConfirmLoginCodeRequest(Request):
    """The `request_id` of the request, with the code or with the link's token."""

    request_id: Text
    code: Code | None = None
    token: LinkToken | None = None

    @model_validator(mode="after")
    def _has_proof(self) -> Self:
        if self.code is None and self.token is None:
            raise PydanticCustomError("proof_missing", "This needs `code` or `token`.")
        return self


class ConfirmVerificationRequest(Request):
    """The code, with a session; or the link's token and the account's password."""

    code: Code | None = None
    token: LinkToken | None = None
    password: Password | None = None

    @model_validator(mode="after")
    def _has_proof(self) -> Self:
        if self.code is None and None in (self.token, self.password):
            raise PydanticCustomError(
                "proof_missing", "This needs `code`, or `token` and `password`."
            )
        return self


class ConfirmVerificationResponse(SuccessResponse):
    """The account, whose address is verified."""

    data: StatusData


class EmailChangeRequest(ResetPasswordRequest):
    """The new address."""


class EmailChangeData(BaseModel):
    """A change that waits for confirmation."""

    pending_email: Annotated[str, Field(examples=["grace@example.org"])]
    expires_in: Annotated[int, Field(description="Seconds.", examples=[86400])]


class EmailChangeResponse(SuccessResponse):
    """The same response for every address, even if another account has it."""

    message: Literal["A mail is on its way."] = "A mail is on its way."
    data: EmailChangeData


class ConfirmEmailChangeRequest(ConfirmVerificationRequest):
    """The code, with a session; or the link's token and the account's password."""


class ConfirmEmailChangeResponse(ConfirmVerificationResponse):
    """The account, with its new address."""


class CancelEmailChangeResponse(SuccessResponse):
    """No change of the address is pending."""

    message: Literal["The address stays the same."] = "The address stays the same."


class DisownRequest(Request):
    """The token of a "This was not me" link."""

    token: LinkToken


class DisownResponse(SuccessResponse):
    """The operation that the notice was about has been undone."""

    message: Literal["Done."] = "Done."


class FeaturesData(BaseModel):
    """The settings that a front end needs for its forms."""

    registration: Literal["open", "invited", "closed"]
    mail: Annotated[bool, Field(description="Whether the service sends mail.")]
    email_login: Annotated[bool, Field(description="Whether a mail can replace the password.")]
    languages: Annotated[list[str], Field(examples=[["de", "en"]])]
    password_min_length: Annotated[int, Field(examples=[8])]


class FeaturesResponse(SuccessResponse):
    """The features of this installation."""

    data: FeaturesData


class DevMailRequest(QueryRequest):
    """The recipient of the mails."""

    to: Annotated[str | None, Field(description="An e-mail address; otherwise all.")] = None


class DevMail(BaseModel):
    """A mail in the mail folder."""

    id: str
    to: str
    kind: Annotated[str, Field(examples=["password_reset"])]
    subject: str
    text: str
    code: Annotated[str | None, Field(examples=["WDJB-MJHT"])]
    link: str | None


class DevMails(BaseModel):
    """Mails, newest first."""

    messages: list[DevMail]


class DevMailResponse(SuccessResponse):
    """The mails in the mail folder."""

    data: DevMails
