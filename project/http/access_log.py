"""The access log: one line for each request."""

import logging
from time import perf_counter
from uuid import UUID

from flask import Flask, Response, g, request

from project.http import client_address
from project.telemetry.request_id import request_id

QUIET_ROUTES = frozenset(
    {
        "/auth/status", "/auth/forward", "/auth/introspect", "/ping", "/health/live",
        "/health/ready", "/metrics",
    }
)  # fmt: skip
"""Routes that other services and probes call all the time: a success is logged at DEBUG, since the
line would cost more than some of these responses."""

MAX_METHOD = 16
MAX_CLIENT_ID = 64

logger = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Log every request of the app."""
    app.before_request(begin)
    app.after_request(log_request)


def begin() -> None:
    """Record the start of the request, and set its id for all its log lines."""
    g.began = perf_counter()
    request_id()


def log_request(response: Response) -> Response:
    """Log the request with its route's rule; a path may hold an id or arbitrary text."""
    route = request.url_rule.rule if request.url_rule else None
    is_quiet = route in QUIET_ROUTES and response.status_code < 300
    level = logging.DEBUG if is_quiet else logging.INFO
    if logger.isEnabledFor(level):
        logger.log(level, "request completed", extra=_fields(route, response.status_code))
    return response


def _client_id() -> dict[str, str]:
    """Return the client id of a service that sent one."""
    name: str | None = g.get("client_id")
    return {"client_id": name[:MAX_CLIENT_ID]} if name else {}


def _fields(route: str | None, status: int) -> dict[str, object]:
    session_id: UUID | None = g.get("session_id")
    return {
        "method": request.method[:MAX_METHOD],
        "route": route,
        "status": status,
        "duration_ms": round((perf_counter() - g.began) * 1000, 1),
        "user_id": g.get("user_id"),
        "session_id": session_id and session_id.hex,
        **_client_id(),
        "address": client_address.address(),
    }
