"""Invitations."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from project.api.schemas.fields import Email, Language, NewPassword, Timestamp, Username
from project.api.schemas.mail import LinkToken
from project.http.envelope import Request, SuccessResponse


class InvitationRequest(Request):
    """The address to invite, and the language of the mail."""

    email: Email
    language: Language | None = None


class InvitationData(BaseModel):
    """An invitation that can be accepted."""

    id: Annotated[str, Field(examples=["5c0f6b1e2d3a4b5c8d9e0f1a2b3c4d5e"])]
    email: Annotated[str, Field(examples=["grace@example.com"])]
    created_at: Timestamp
    expires_at: Timestamp


class InvitationResponse(SuccessResponse):
    """The invitation is on its way."""

    message: Literal["The invitation is on its way."] = "The invitation is on its way."
    data: InvitationData


class InvitationList(BaseModel):
    """Invitations that can be accepted, newest first."""

    invitations: list[InvitationData]


class InvitationListResponse(SuccessResponse):
    """The outstanding invitations."""

    data: InvitationList


class CancelInvitationResponse(SuccessResponse):
    """The link of the invitation is rejected from now on."""

    message: Literal["Invitation cancelled."] = "Invitation cancelled."


class AcceptInvitationRequest(Request):
    """The token of the link, and the new account."""

    token: LinkToken
    username: Username
    password: NewPassword
