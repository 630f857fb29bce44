"""For the other services of a product: introspection, and forward auth for a proxy before them."""

from flask import Blueprint, current_app

from project.accounts import keyring, keys, revocations, sessions
from project.accounts.sessions import Identity
from project.api.contract import accepts_query, answers
from project.api.guard import accepts_from_service, authenticate, authenticate_service
from project.api.schemas import (
    FeedRequest,
    ForwardedAnswer,
    IntrospectionAnswer,
    IntrospectionRequest,
    KeySetAnswer,
    PublicKey,
    RevocationList,
    RevocationListAnswer,
    ServerMetadata,
)
from project.errors import NotFound, Unauthorized, Unavailable
from project.security import identifiers

services_blueprint = Blueprint("services", __name__)


@services_blueprint.post("/auth/introspect")
@answers(IntrospectionAnswer, sparse=True)
@accepts_from_service(IntrospectionRequest)
def introspect_token(payload: IntrospectionRequest) -> IntrospectionAnswer:
    """Tell another service whether an access token is good, and whose it is (RFC 7662).

    For services that send one of SERVICE_TOKENS: as a bearer token, as the password of HTTP Basic,
    or as `client_secret` in the form. The client id is any name. Why a token is not good is not
    told.
    """
    try:
        identity = sessions.identify(payload.token)
    except Unauthorized:
        return IntrospectionAnswer(active=False)
    return IntrospectionAnswer(
        active=True,
        sub=str(identity.id),
        username=identity.username,
        email=identity.email,
        admin=identity.admin,
        iss=current_app.config["TOKEN_ISSUER"],
        sid=identity.session_id,
        token_type="Bearer",
        iat=int(identity.issued_at.timestamp()),
        exp=int(identity.expires_at.timestamp()),
    )


@services_blueprint.get("/auth/forward")
@answers(ForwardedAnswer)
@authenticate()
def forward_request(identity: Identity) -> tuple[ForwardedAnswer, dict[str, str]]:
    """Tell a proxy whether a request may pass, and by header fields whose it is.

    For `auth_request` of nginx, `ForwardAuth` of Traefik and `forward_auth` of Caddy: 200 with
    `X-Auth-User-Id`, `X-Auth-Username`, `X-Auth-Email` and `X-Auth-Admin`, or 401 with the
    challenge. What is not ASCII in a name is percent-encoded UTF-8.
    """
    fields = {
        "X-Auth-User-Id": str(identity.id),
        "X-Auth-Username": identifiers.field_value(identity.username),
        "X-Auth-Email": identifiers.field_value(identity.email),
        "X-Auth-Admin": str(identity.admin).lower(),
    }
    return ForwardedAnswer(), fields


@services_blueprint.get("/.well-known/jwks.json")
@answers(KeySetAnswer, Unavailable, sparse=True, revalidated=True)
def list_keys() -> tuple[KeySetAnswer, dict[str, str]]:
    """Return the public keys that show a token to be ours (RFC 7517); none where it is HS256.

    A key is here for twice as long as the answer may be kept before it signs. A `kid` that is
    not here may be asked for once more, not more often than once in ten seconds.
    """
    kept = int(keys.lead().total_seconds() / 2)
    published = [PublicKey.model_validate(jwk) for jwk in keyring.published()]
    return KeySetAnswer(keys=published), {"Cache-Control": f"public, max-age={kept}"}


@services_blueprint.get("/.well-known/oauth-authorization-server")
@answers(ServerMetadata, NotFound, revalidated=True)
def get_server_metadata() -> tuple[ServerMetadata, dict[str, str]]:
    """Return where tokens are verified and introspected (RFC 8414); 404 without TOKEN_ISSUER."""
    issuer: str | None = current_app.config["TOKEN_ISSUER"]
    if issuer is None:
        raise NotFound
    base = issuer.rstrip("/")
    metadata = ServerMetadata(
        issuer=issuer,
        jwks_uri=f"{base}/.well-known/jwks.json",
        introspection_endpoint=f"{base}/auth/introspect",
        introspection_endpoint_auth_methods_supported=[
            "client_secret_basic",
            "client_secret_post",
            "Bearer",
        ],
        response_types_supported=[],
        grant_types_supported=[],
    )
    return metadata, {"Cache-Control": "public, max-age=300"}


@services_blueprint.get("/auth/revocations")
@answers(RevocationListAnswer, revalidated=True)
@authenticate_service
@accepts_query(FeedRequest)
def list_revocations(feed: FeedRequest) -> RevocationListAnswer:
    """Tell another service which sessions have ended and not yet expired.

    For services that verify tokens by themselves: refuse tokens whose `sid` is listed, or whose
    `kid` is among the retired keys, and ask again with `after`. The youngest entries come again
    with the next page; none is ever missed.
    """
    page = revocations.after(feed.after)
    return RevocationListAnswer(
        data=RevocationList(
            session_ids=list(page.session_ids),
            next=page.next,
            retired_keys=list(page.retired_keys),
        )
    )
