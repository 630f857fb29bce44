"""The access log: one line for every request that was answered."""

import logging
from time import perf_counter
from uuid import UUID

from flask import Flask, Response, g, request

from project.http import client_address
from project.telemetry.request_id import request_id

ASKED_ALL_THE_TIME = frozenset(
    {
        "/auth/status", "/auth/forward", "/auth/introspect", "/ping", "/health/live",
        "/health/ready", "/metrics",
    }
)  # fmt: skip
"""What others ask at every request of their own, and every few seconds. That it went well is no
news, and a line would cost more than some of these answers do."""

MAX_METHOD = 16
MAX_CLIENT_ID = 64

logger = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Have every request of the app logged; to be called before whatever else looks at requests."""
    app.before_request(begin)
    app.after_request(note)


def begin() -> None:
    """Remember when the request began, and give it its id for every line that follows."""
    g.began = perf_counter()
    request_id()


def note(response: Response) -> Response:
    """Log the request with the rule of its route: a path may hold an id, or anything at all."""
    route = request.url_rule.rule if request.url_rule else None
    is_news = route not in ASKED_ALL_THE_TIME or response.status_code >= 300
    level = logging.INFO if is_news else logging.DEBUG
    if logger.isEnabledFor(level):
        logger.log(level, "request completed", extra=_told(route, response.status_code))
    return response


def _client_id() -> dict[str, str]:
    """Return the name that a service gave itself, if any."""
    name: str | None = g.get("client_id")
    return {"client_id": name[:MAX_CLIENT_ID]} if name else {}


def _told(route: str | None, status: int) -> dict[str, object]:
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
