"""Registration, login, refresh and logout."""

from typing import Annotated, Literal

from pydantic import Field

from project.api.schemas.fields import (
    Email,
    NewPassword,
    Text,
    Username,
)
from project.http.envelope import Request, SuccessResponse


class RegisterRequest(Request):
    """A new account."""

    username: Username
    email: Email
    password: NewPassword


class LoginRequest(Request):
    """Credentials. Any two texts are accepted as such: which are correct depends on the account."""

    email: Annotated[Text, Field(examples=["grace@example.com"])]
    password: Annotated[Text, Field(examples=["correct horse battery staple"])]
    device_token: Annotated[
        Text | None,
        Field(
            description="The `device_token` of this device's last login or registration.",
            examples=["dt_AQAAAAAAAAABAAAAAG3oKwBIYxmq…"],
        ),
    ] = None


class RefreshRequest(Request):
    """A refresh token."""

    refresh_token: Annotated[Text, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]


class LogoutRequest(Request):
    """Which of the user's sessions end: this one, all the others, or all."""

    scope: Annotated[Literal["local", "others", "all"], Field(examples=["others"])] = "local"


class TokenResponse(SuccessResponse):
    """A session: a token for requests, and one that is exchanged for the next pair."""

    message: str
    auth_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: Annotated[int, Field(description="Seconds.", examples=[2592000])]
    refresh_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]
    refresh_expires_in: Annotated[int, Field(description="Seconds.", examples=[5184000])]


class DeviceTokenResponse(TokenResponse):
    """An open session, and the token that this device sends with its next login."""

    device_token: Annotated[str, Field(examples=["dt_AQAAAAAAAAABAAAAAG3oKwBIYxmq…"])]


class RegisterResponse(DeviceTokenResponse):
    """A new account with its first session."""

    message: Literal["Successfully registered."] = "Successfully registered."


class LoginResponse(DeviceTokenResponse):
    """A new session."""

    message: Literal["Successfully logged in."] = "Successfully logged in."


class RefreshResponse(TokenResponse):
    """New tokens of the same session."""

    message: Literal["Successfully refreshed."] = "Successfully refreshed."


class LogoutResponse(SuccessResponse):
    """The session has ended."""

    message: Literal["Successfully logged out."] = "Successfully logged out."
