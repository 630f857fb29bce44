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
    """Credentials; any two strings are valid."""

    email: Annotated[Text, Field(examples=["grace@example.com"])]
    password: Annotated[Text, Field(examples=["correct horse battery staple"])]
    device_token: Annotated[
        Text | None,
        Field(
            description="The `device_token` from the last login or registration on this device.",
            examples=["dt_AQAAAAAAAAABAAAAAG3oKwBIYxmq…"],
        ),
    ] = None


class RefreshRequest(Request):
    """A refresh token."""

    refresh_token: Annotated[Text, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]


class LogoutRequest(Request):
    """The sessions to end."""

    scope: Annotated[
        Literal["local", "others", "all"],
        Field(
            description="`local` ends this session, `others` all other sessions of the user.",
            examples=["others"],
        ),
    ] = "local"


class TokenResponse(SuccessResponse):
    """The access token and the refresh token of a session."""

    message: str
    auth_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: Annotated[
        int, Field(description="Lifetime of `auth_token` in seconds.", examples=[2592000])
    ]
    refresh_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]
    refresh_expires_in: Annotated[
        int, Field(description="Lifetime of `refresh_token` in seconds.", examples=[5184000])
    ]


class DeviceTokenResponse(TokenResponse):
    """The tokens of a session, and a device token to send with the next login."""

    device_token: Annotated[str, Field(examples=["dt_AQAAAAAAAAABAAAAAG3oKwBIYxmq…"])]


class RegisterResponse(DeviceTokenResponse):
    """The tokens of a new account's first session."""

    message: Literal["Successfully registered."] = "Successfully registered."


class LoginResponse(DeviceTokenResponse):
    """The tokens of a new session."""

    message: Literal["Successfully logged in."] = "Successfully logged in."


class RefreshResponse(TokenResponse):
    """The next tokens of the session."""

    message: Literal["Successfully refreshed."] = "Successfully refreshed."


class LogoutResponse(SuccessResponse):
    """The session has ended."""

    message: Literal["Successfully logged out."] = "Successfully logged out."
