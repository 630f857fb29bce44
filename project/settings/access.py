"""Who may call the service, and from where."""

from project.settings.parsers import (
    boolean,
    digests,
    integer,
    networks,
    origins,
)
from project.settings.setting import Setting

ACCESS = (
    Setting("SERVICE_TOKENS", digests, [],
        "The SHA-256 of the tokens by which other services may introspect, separated by commas; "
        "`make_service_token` makes them.", secret=True),
    Setting("METRICS_TOKEN", digests, [],
        "The SHA-256 of the token by which Prometheus may read `/metrics`, or of several, "
        "separated by commas; `make_service_token` makes them. Without one nothing is counted, "
        "and there is no `/metrics`.", secret=True),
    Setting("USERS_PUBLIC", boolean, False,
        "Whether everybody may read `/users`, e-mail addresses included."),
    Setting("DOCS_ENABLED", boolean, True,
        "Whether `/docs` serves a page to try the API in; `/openapi.json` is always there."),
    Setting("CORS_ORIGINS", origins, ["*"],
        "The origins whose pages may call the service, separated by commas; no cookie is used."),
    Setting("CLIENT_TIMEOUT_SECONDS", integer(1, 60), 15,
        "How long a client may take to send a request's header fields, again for the rest of it, "
        "and again to read the answer; then its connection is ended."),
    Setting("TRUSTED_PROXIES", networks, [],
        "The networks, or single addresses, of the reverse proxies whose `X-Forwarded-For` tells "
        "the client's address, separated by commas."),
)  # fmt: skip
