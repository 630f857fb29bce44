"""One pydantic model for each request and response; the API document is built from them."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from project.accounts.directory import Position
from project.api.fields import Email, Moment, NewPassword, SessionId, Text, Username, read_position

LARGEST_PAGE = 200


class Request(BaseModel):
    """A request's body; members other than its fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


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


class ServiceForm(Request):
    """A form of another service, which may authenticate in it (RFC 6749, section 2.3.1)."""

    client_id: Annotated[
        Text | None, Field(description="Any name; it is logged.", examples=["orders"])
    ] = None
    client_secret: Annotated[
        Text | None, Field(description="A service token, where no header holds one.")
    ] = None


class IntrospectionRequest(ServiceForm):
    """A token that another service has received (RFC 7662, section 2.1)."""

    token: Annotated[Text, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]


class QueryRequest(BaseModel):
    """The parameters of a query; another one is an error, since it would have no effect."""

    model_config = ConfigDict(extra="forbid")


class PageRequest(QueryRequest):
    """Which part of a list."""

    limit: Annotated[int | None, Field(ge=1, le=LARGEST_PAGE)] = None
    after: Annotated[
        Position | None,
        BeforeValidator(read_position),
        WithJsonSchema({"type": "string", "description": "`data.next` of the previous page."}),
    ] = None


class FeedRequest(QueryRequest):
    """Where in the feed to begin."""

    after: Annotated[
        int, Field(ge=0, le=2**31 - 1, description="`data.next` of the previous response.")
    ] = 0


class SuccessResponse(BaseModel):
    """The member that every success has."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["success"] = "success"


class PongResponse(SuccessResponse):
    """The process responds."""

    message: Literal["pong!"] = "pong!"


class AliveResponse(SuccessResponse):
    """The process responds."""

    message: Literal["Alive."] = "Alive."


class ReadyResponse(SuccessResponse):
    """The process accepts requests."""

    message: Literal["Ready."] = "Ready."


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


class NewUserData(BaseModel):
    """The account that was created."""

    id: Annotated[int, Field(examples=[7])]
    username: Annotated[str, Field(examples=["grace"])]
    email: Annotated[str, Field(examples=["grace@example.com"])]


class AddUserResponse(SuccessResponse):
    """An account that an administrator created."""

    data: NewUserData
    message: Annotated[str, Field(examples=["grace@example.com was added!"])]


class EndSessionResponse(SuccessResponse):
    """That session has ended."""

    message: Literal["Session ended."] = "Session ended."


class SessionData(BaseModel):
    """A session that has not ended."""

    id: SessionId
    created_at: Moment
    last_seen_at: Annotated[Moment, Field(description="To the minute.")]
    address: Annotated[str, Field(examples=["203.0.113.7"])]
    user_agent: Annotated[str, Field(examples=["Mozilla/5.0"])]
    current: Annotated[bool, Field(description="Whether the request was made by this session.")]


class SessionList(BaseModel):
    """Sessions, the last seen first."""

    sessions: list[SessionData]


class SessionListResponse(SuccessResponse):
    """The caller's open sessions."""

    data: SessionList


class UserData(BaseModel):
    """An account, as visible to its owner and to administrators."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[int, Field(examples=[1])]
    username: Annotated[str, Field(examples=["grace"])]
    email: Annotated[str, Field(examples=["grace@example.com"])]
    active: Annotated[bool, Field(examples=[True])]
    admin: Annotated[bool, Field(examples=[False])]
    created_at: Moment


class StatusResponse(SuccessResponse):
    """The authenticated user. `admin` is also at the top level, where older services read it."""

    admin: Annotated[bool, Field(examples=[False])]
    data: UserData


class RevocationList(BaseModel):
    """Sessions that ended before they expired, in the order in which they ended."""

    session_ids: list[SessionId]
    next: Annotated[int, Field(description="Send it as `after` the next time.", examples=[17])]
    retired_keys: Annotated[
        list[str], Field(description="The `kid` of each key whose tokens are all rejected.")
    ]


class RevocationListResponse(SuccessResponse):
    """A page of the feed."""

    data: RevocationList


class PublicKey(BaseModel):
    """A key that verifies tokens (RFC 7517, section 4, and RFC 8037, section 2)."""

    kty: Literal["EC", "OKP"]
    crv: Literal["P-256", "Ed25519"]
    x: str
    y: str | None = None
    kid: Annotated[str, Field(description="The key's thumbprint (RFC 7638).")]
    use: Literal["sig"]
    alg: Literal["ES256", "EdDSA"]


class KeySetResponse(BaseModel):
    """A JWK Set (RFC 7517, section 5), the newest key first."""

    keys: list[PublicKey]


class IntrospectionResponse(BaseModel):
    """The state of a token (RFC 7662, section 2.2); an inactive one has `active` alone."""

    active: bool
    sub: Annotated[str | None, Field(description="The user's id.", examples=["1"])] = None
    username: Annotated[str | None, Field(examples=["grace"])] = None
    email: Annotated[str | None, Field(examples=["grace@example.com"])] = None
    admin: Annotated[bool | None, Field(examples=[False])] = None
    iss: Annotated[str | None, Field(description="TOKEN_ISSUER, where it is set.")] = None
    sid: SessionId | None = None
    token_type: Literal["Bearer"] | None = None
    iat: Annotated[int | None, Field(examples=[1795381200])] = None
    exp: Annotated[int | None, Field(examples=[1797973200])] = None


class ServerMetadata(BaseModel):
    """The authorization server's metadata (RFC 8414, section 2); it has no OAuth grants."""

    issuer: Annotated[str, Field(examples=["https://users.example.com"])]
    jwks_uri: Annotated[str, Field(examples=["https://users.example.com/.well-known/jwks.json"])]
    introspection_endpoint: Annotated[
        str, Field(examples=["https://users.example.com/auth/introspect"])
    ]
    introspection_endpoint_auth_methods_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]


class ForwardResponse(SuccessResponse):
    """The request is authenticated; `X-Auth-…` header fields name its user."""

    message: Literal["Authenticated."] = "Authenticated."


class UserResponse(SuccessResponse):
    """One account."""

    data: UserData


class UserList(BaseModel):
    """Accounts, newest first."""

    users: list[UserData]
    next: Annotated[
        str | None,
        Field(description="Send it as `after` for the next page; null on the last one."),
    ]


class UserListResponse(SuccessResponse):
    """A page of accounts, or all of them."""

    data: UserList


class FieldError(BaseModel):
    """One error in a payload."""

    field: Annotated[str, Field(description="The field's name; empty for the whole payload.")]
    code: str
    message: str


class ErrorResponse(BaseModel):
    """The body of every error."""

    status: Literal["error"] = "error"
    message: str
    code: str
    errors: list[FieldError] | None = None
    check: Literal["database", "schema", "secret", "draining"] | None = None
