"""Introspection, public keys, server metadata, revocations and forward auth."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from project.api.schemas.fields import (
    SessionId,
    Text,
)
from project.http.envelope import QueryRequest, Request, SuccessResponse


class ServiceForm(Request):
    """A form that may contain the caller's credentials (RFC 6749, section 2.3.1)."""

    client_id: Annotated[
        Text | None, Field(description="Any name, for the log.", examples=["orders"])
    ] = None
    client_secret: Annotated[
        Text | None,
        Field(description="A service token, for a request without an Authorization header."),
    ] = None


class IntrospectionRequest(ServiceForm):
    """The access token to introspect (RFC 7662, section 2.1)."""

    token: Annotated[Text, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ…"])]


class FeedRequest(QueryRequest):
    """The position in the feed of ended sessions."""

    after: Annotated[
        int, Field(ge=0, le=2**31 - 1, description="`data.next` of the previous response.")
    ] = 0


class RevocationList(BaseModel):
    """Sessions that ended before they expired, oldest end first."""

    session_ids: list[SessionId]
    next: Annotated[int, Field(description="The `after` of the next request.", examples=[17])]
    retired_keys: Annotated[
        list[str],
        Field(description="The `kid` of each retired key; all tokens that it signed are rejected."),
    ]


class RevocationListResponse(SuccessResponse):
    """A page of the feed of ended sessions."""

    data: RevocationList


class PublicKey(BaseModel):
    """A public key that verifies access tokens (RFC 7517, section 4; RFC 8037, section 2)."""

    kty: Literal["EC", "OKP"]
    crv: Literal["P-256", "Ed25519"]
    x: str
    y: str | None = None
    kid: Annotated[str, Field(description="The key's thumbprint (RFC 7638).")]
    use: Literal["sig"]
    alg: Literal["ES256", "EdDSA"]


class KeySetResponse(BaseModel):
    """A JWK set (RFC 7517, section 5), newest key first."""

    keys: list[PublicKey]


class IntrospectionResponse(BaseModel):
    """The state of a token (RFC 7662, section 2.2); for an inactive token, only `active`."""

    active: bool
    sub: Annotated[str | None, Field(description="The user's id.", examples=["1"])] = None
    username: Annotated[str | None, Field(examples=["grace"])] = None
    email: Annotated[str | None, Field(examples=["grace@example.com"])] = None
    email_verified: Annotated[bool | None, Field(examples=[True])] = None
    admin: Annotated[bool | None, Field(examples=[False])] = None
    iss: Annotated[str | None, Field(description="TOKEN_ISSUER, if it is set.")] = None
    sid: SessionId | None = None
    token_type: Literal["Bearer"] | None = None
    iat: Annotated[int | None, Field(examples=[1795381200])] = None
    exp: Annotated[int | None, Field(examples=[1797973200])] = None


class ServerMetadata(BaseModel):
    """The metadata of an authorization server without OAuth grants (RFC 8414, section 2)."""

    issuer: Annotated[str, Field(examples=["https://users.example.com"])]
    jwks_uri: Annotated[str, Field(examples=["https://users.example.com/.well-known/jwks.json"])]
    introspection_endpoint: Annotated[
        str, Field(examples=["https://users.example.com/auth/introspect"])
    ]
    introspection_endpoint_auth_methods_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]


class ForwardResponse(SuccessResponse):
    """The request is authenticated; the `X-Auth-…` header fields contain its user."""

    message: Literal["Authenticated."] = "Authenticated."
