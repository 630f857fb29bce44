"""For the other services of a product: introspection, and forward auth for a proxy before them."""

from flask import Blueprint, request

from project.accounts import keyring, keys, revocations, sessions
from project.accounts.sessions import Identity
from project.api.contract import accepts_form, accepts_query, answers
from project.api.guard import authenticate, authenticate_service
from project.api.schemas import (
    FeedRequest,
    ForwardedAnswer,
    IntrospectionAnswer,
    IntrospectionRequest,
    KeySetAnswer,
    PublicKey,
    RevocationList,
    RevocationListAnswer,
)
from project.errors import Unauthorized, Unavailable
from project.security import identifiers

services_blueprint = Blueprint("services", __name__)


@services_blueprint.post("/auth/introspect")
@answers(IntrospectionAnswer, sparse=True)
@authenticate_service
@accepts_form(IntrospectionRequest)
def introspect_token(payload: IntrospectionRequest) -> IntrospectionAnswer:
    """Tell another service whether an access token is good, and whose it is (RFC 7662).

    For services that show one of SERVICE_TOKENS. Why a token is not good is not told.
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
    may_write = request.method != "HEAD"  # a key that is due
    kept = int(keys.lead().total_seconds() / 2)
    published = [PublicKey.model_validate(jwk) for jwk in keyring.published(may_write=may_write)]
    return KeySetAnswer(keys=published), {"Cache-Control": f"public, max-age={kept}"}


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
