"""One pydantic model a request, one an answer; the API document is made of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from project.accounts.directory import Position
from project.api.fields import Email, Moment, NewPassword, SessionId, Text, Username, read_position

LARGEST_PAGE = 200


class Request(BaseModel):
    """A request's body. What it names beyond its fields is not looked at."""

    model_config = ConfigDict(strict=True, extra="ignore")


class RegisterRequest(Request):
    """A new account."""

    username: Username
    email: Email
    password: NewPassword


class LoginRequest(Request):
    """Credentials: any two texts, since only an account can say whether they are good."""

    email: Annotated[Text, Field(examples=["michael@example.com"])]
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


class IntrospectionRequest(Request):
    """A token that somebody else was shown (RFC 7662, section 2.1)."""

    token: Annotated[Text, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]


class PageRequest(BaseModel):
    """Which part of a list."""

    limit: Annotated[int | None, Field(ge=1, le=LARGEST_PAGE)] = None
    after: Annotated[
        Position | None,
        BeforeValidator(read_position),
        WithJsonSchema({"type": "string", "description": "`data.next` of the page before."}),
    ] = None


class FeedRequest(BaseModel):
    """From where on the feed is read."""

    after: Annotated[
        int, Field(ge=0, le=2**31 - 1, description="`data.next` of the answer before.")
    ] = 0


class Answer(BaseModel):
    """What every success has."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["success"] = "success"


class PongAnswer(Answer):
    """The process answers."""

    message: Literal["pong!"] = "pong!"


class AliveAnswer(Answer):
    """The process answers."""

    message: Literal["Alive."] = "Alive."


class ReadyAnswer(Answer):
    """Requests may be sent here."""

    message: Literal["Ready."] = "Ready."


class TokenAnswer(Answer):
    """An open session: the token for every request, and the one that gets the next two."""

    message: str
    auth_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: Annotated[int, Field(description="Seconds.", examples=[2592000])]
    refresh_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]
    refresh_expires_in: Annotated[int, Field(description="Seconds.", examples=[5184000])]


class DeviceTokenAnswer(TokenAnswer):
    """An open session, and what this device sends with its next login."""

    device_token: Annotated[str, Field(examples=["dt_AQAAAAAAAAABAAAAAG3oKwBIYxmq…"])]


class RegisteredAnswer(DeviceTokenAnswer):
    """A new account with its first session."""

    message: Literal["Successfully registered."] = "Successfully registered."


class LoggedInAnswer(DeviceTokenAnswer):
    """A new session."""

    message: Literal["Successfully logged in."] = "Successfully logged in."


class RefreshedAnswer(TokenAnswer):
    """New tokens of the same session."""

    message: Literal["Successfully refreshed."] = "Successfully refreshed."


class LoggedOutAnswer(Answer):
    """The session has ended."""

    message: Literal["Successfully logged out."] = "Successfully logged out."


class UserAddedAnswer(Answer):
    """A new account of somebody else."""

    message: Annotated[str, Field(examples=["michael@example.com was added!"])]


class SessionEndedAnswer(Answer):
    """That session has ended."""

    message: Literal["Session ended."] = "Session ended."


class SessionData(BaseModel):
    """A login that is still open."""

    id: SessionId
    created_at: Moment
    last_seen_at: Annotated[Moment, Field(description="To the minute.")]
    address: Annotated[str, Field(examples=["203.0.113.7"])]
    user_agent: Annotated[str, Field(examples=["Mozilla/5.0"])]
    current: Annotated[bool, Field(description="Whether it is the session of this request.")]


class SessionList(BaseModel):
    """Sessions, the last seen first."""

    sessions: list[SessionData]


class SessionListAnswer(Answer):
    """The caller's open sessions."""

    data: SessionList


class UserData(BaseModel):
    """An account, as its owner and administrators see it."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[int, Field(examples=[1])]
    username: Annotated[str, Field(examples=["michael"])]
    email: Annotated[str, Field(examples=["michael@example.com"])]
    active: Annotated[bool, Field(examples=[True])]
    admin: Annotated[bool, Field(examples=[False])]
    created_at: Moment


class StatusAnswer(Answer):
    """Who the token shows. `admin` stands beside `data` too: another service reads it there."""

    admin: Annotated[bool, Field(examples=[False])]
    data: UserData


class RevocationList(BaseModel):
    """Sessions that were ended before their time, in that order."""

    session_ids: list[SessionId]
    next: Annotated[int, Field(description="Send it as `after` the next time.", examples=[17])]
    retired_keys: Annotated[
        list[str], Field(description="The `kid` of each key whose tokens are all refused.")
    ]


class RevocationListAnswer(Answer):
    """A page of the feed."""

    data: RevocationList


class PublicKey(BaseModel):
    """What shows that a token is ours (RFC 7517, section 4, and RFC 8037, section 2)."""

    kty: Literal["EC", "OKP"]
    crv: Literal["P-256", "Ed25519"]
    x: str
    y: str | None = None
    kid: Annotated[str, Field(description="The key's thumbprint (RFC 7638).")]
    use: Literal["sig"]
    alg: Literal["ES256", "EdDSA"]


class KeySetAnswer(BaseModel):
    """A JWK Set (RFC 7517, section 5), the newest key first."""

    keys: list[PublicKey]


class IntrospectionAnswer(BaseModel):
    """What there is to say of a token (RFC 7662, section 2.2); of an inactive one nothing more."""

    active: bool
    sub: Annotated[str | None, Field(description="The user's id.", examples=["1"])] = None
    username: Annotated[str | None, Field(examples=["michael"])] = None
    email: Annotated[str | None, Field(examples=["michael@example.com"])] = None
    admin: Annotated[bool | None, Field(examples=[False])] = None
    sid: SessionId | None = None
    token_type: Literal["Bearer"] | None = None
    iat: Annotated[int | None, Field(examples=[1795381200])] = None
    exp: Annotated[int | None, Field(examples=[1797973200])] = None


class ForwardedAnswer(Answer):
    """The request may pass; the header fields tell whose it is."""

    message: Literal["Authenticated."] = "Authenticated."


class UserAnswer(Answer):
    """One account."""

    data: UserData


class UserList(BaseModel):
    """Accounts, newest first."""

    users: list[UserData]
    next: Annotated[
        str | None,
        Field(description="Send it as `after` for the next page; null on the last one."),
    ]


class UserListAnswer(Answer):
    """A page of accounts, or all of them."""

    data: UserList


class FaultData(BaseModel):
    """One thing wrong with a payload."""

    field: Annotated[str, Field(description="The field's name; empty for the whole payload.")]
    code: str
    message: str


class Refusal(BaseModel):
    """What every error answers."""

    status: Literal["error"] = "error"
    message: str
    code: str
    errors: list[FaultData] | None = None
    check: Literal["database", "schema", "draining"] | None = None
