"""Settings of who may call the service, and from where."""

from project.settings.parsers import boolean, digests, integer, networks, origins
from project.settings.setting import Setting

ACCESS = (
    Setting("SERVICE_TOKENS", digests, [],
        "SHA-256 digests, separated by commas, of the tokens that authenticate other services at "
        "`/auth/introspect` and `/auth/revocations`; create them with `make_service_token`.",
        secret=True),
    Setting("METRICS_TOKEN", digests, [],
        "SHA-256 digests, separated by commas, of the tokens that authenticate Prometheus at "
        "`/metrics`; create them with `make_service_token`. If it is not set, `/metrics` is "
        "disabled.",
        secret=True),
    Setting("USERS_PUBLIC", boolean, False,
        "Allow unauthenticated access to `GET /users` and `GET /users/<user_id>`, e-mail "
        "addresses included."),
    Setting("DOCS_ENABLED", boolean, True,
        "Serve an interactive page of the API at `/docs`; `/openapi.json` is always served."),
    Setting("CORS_ORIGINS", origins, ["*"],
        "Origins whose pages may call the service, separated by commas; `*` allows all. Cookies "
        "are never used."),
    Setting("CLIENT_TIMEOUT_SECONDS", integer(1, 60), 15,
        "Maximum time for each of three steps of a client, in seconds: sending the header fields, "
        "sending the body, and reading the response. After that the connection is closed."),
    Setting("TRUSTED_PROXIES", networks, [],
        "Networks and addresses of the reverse proxies that are trusted to set "
        "`X-Forwarded-For`, separated by commas."),
)  # fmt: skip
