"""The caller's account."""

from typing import Literal

from pydantic import BaseModel

from project.api.schemas.fields import Timestamp
from project.api.schemas.mail import Password
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
