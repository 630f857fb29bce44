"""Routes for other services and proxies: introspection, keys, revocations and forward auth."""

from flask import Blueprint, current_app, request

from project.accounts import sessions, signing_keys
from project.accounts.email import verification
from project.accounts.sessions import Principal, revocations
from project.accounts.signing_keys import source
from project.api.guard import accepts_from_service, authenticate, authenticate_service
from project.api.schemas import (
    FeedRequest,
    ForwardResponse,
    IntrospectionRequest,
    IntrospectionResponse,
    KeySetResponse,
    PublicKey,
    RevocationList,
    RevocationListResponse,
    ServerMetadata,
)
from project.errors import EmailUnverified, NotFound, Unauthorized, Unavailable
from project.http.contract import accepts_query, responds
from project.security import identifiers

services_blueprint = Blueprint("services", __name__)


@services_blueprint.post("/auth/introspect")
@responds(IntrospectionResponse, sparse=True)
@accepts_from_service(IntrospectionRequest)
def introspect_token(payload: IntrospectionRequest) -> IntrospectionResponse:
    """Return whether an access token is active, and its user (RFC 7662).

    The caller sends one of SERVICE_TOKENS as a bearer token, as the password of HTTP Basic, or as
    `client_secret` in the form; the client id is any name. The reason why a token is inactive is
    not disclosed.
    """
    try:
        principal = sessions.identify(payload.token)
    except Unauthorized:
        return IntrospectionResponse(active=False)
    return IntrospectionResponse(
        active=True,
        sub=str(principal.id),
        username=principal.username,
        email=principal.email,
        email_verified=principal.email_verified,
        admin=principal.admin,
        iss=current_app.config["TOKEN_ISSUER"],
        sid=principal.session_id,
        token_type="Bearer",
        iat=int(principal.issued_at.timestamp()),
        exp=int(principal.expires_at.timestamp()),
    )


@services_blueprint.get("/auth/forward")
@responds(ForwardResponse, EmailUnverified)
@authenticate()
def forward_request(principal: Principal) -> tuple[ForwardResponse, dict[str, str]]:
    """Authenticate a request for a proxy, and return its user in header fields.

    For `auth_request` of nginx, `ForwardAuth` of Traefik and `forward_auth` of Caddy. The header
    fields are `X-Auth-User-Id`, `X-Auth-Username`, `X-Auth-Email`, `X-Auth-Email-Verified` and
    `X-Auth-Admin`; non-ASCII characters are percent-encoded UTF-8. If EMAIL_VERIFICATION is
    `required`, a user without a verified address gets 403.
    """
    if verification.is_required() and not principal.email_verified:
        raise EmailUnverified
    fields = {
        "X-Auth-User-Id": str(principal.id),
        "X-Auth-Username": identifiers.encode_header_value(principal.username),
        "X-Auth-Email": identifiers.encode_header_value(principal.email),
        "X-Auth-Email-Verified": str(principal.email_verified).lower(),
        "X-Auth-Admin": str(principal.admin).lower(),
    }
    return ForwardResponse(), fields


@services_blueprint.get("/.well-known/jwks.json")
@responds(KeySetResponse, Unavailable, sparse=True, revalidated=True)
def list_keys() -> tuple[KeySetResponse, dict[str, str]]:
    """Return the public keys that verify access tokens (RFC 7517); none for HS256.

    A new key is published for twice the `max-age` of this response before it signs tokens. On an
    unknown `kid`, fetch the keys again, at most once every ten seconds.
    """
    may_write = request.method != "HEAD"  # the next key, when it is due
    max_age = int(signing_keys.publication_lead().total_seconds() / 2)
    published = [
        PublicKey.model_validate(jwk) for jwk in source.list_published(may_write=may_write)
    ]
    return KeySetResponse(keys=published), {"Cache-Control": f"public, max-age={max_age}"}


@services_blueprint.get("/.well-known/oauth-authorization-server")
@responds(ServerMetadata, NotFound, revalidated=True)
def get_server_metadata() -> tuple[ServerMetadata, dict[str, str]]:
    """Return the URLs of the key set and of introspection (RFC 8414); 404 without TOKEN_ISSUER."""
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
@responds(RevocationListResponse, revalidated=True)
@authenticate_service
@accepts_query(FeedRequest)
def list_revocations(feed: FeedRequest) -> RevocationListResponse:
    """List the ended sessions whose tokens have not expired.

    For services that verify tokens themselves: poll with `after`, and reject tokens with a listed
    `sid` or with the `kid` of a retired key. A page may repeat the last entries of the previous
    one, so that none is missed.
    """
    page = revocations.list_after(feed.after)
    return RevocationListResponse(
        data=RevocationList(
            session_ids=list(page.session_ids),
            next=page.next,
            retired_keys=list(page.retired_keys),
        )
    )
