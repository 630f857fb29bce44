"""Which pages of other origins may call the service (the Fetch standard, section 3.2)."""

import re

from flask import Flask, Response, request

from project.extensions import cors

EVERY_ORIGIN = ["*"]
SHUT = "/metrics"
"""What no page may read, whatever the settings say."""

EXPOSED = ["RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID"]
MAX_AGE = 600
"""Seconds for which a browser need not ask again."""


def init_app(app: Flask) -> None:
    """Answer the pages of CORS_ORIGINS."""
    origins = app.config["CORS_ORIGINS"]
    if origins != EVERY_ORIGIN:
        app.after_request(vary_by_origin)
    cors.init_app(
        app,
        # As patterns: the extension would take some origins for patterns by itself.
        origins=[_pattern(origin) for origin in origins],
        resources=rf"/(?!{SHUT[1:]}$).*",
        send_wildcard=True,
        expose_headers=EXPOSED,
        max_age=MAX_AGE,
    )
    if origins == EVERY_ORIGIN:
        app.after_request(let_every_origin_in)


def vary_by_origin(response: Response) -> Response:
    """Have caches keep an answer for one origin alone, also where this one has none.

    The extension says so only to origins that may call. It runs before this.
    """
    if request.path != SHUT:
        response.vary.add("Origin")
    return response


def let_every_origin_in(response: Response) -> Response:
    """Say what the extension would, which then leaves the answer as it is.

    To every request but a preflight that is the same, and working it out costs a tenth of a status.
    Of a refusal it has said so already.
    """
    is_said = "Access-Control-Allow-Origin" in response.headers
    if not is_said and request.method != "OPTIONS" and request.path != SHUT:
        response.headers.add("Access-Control-Allow-Origin", "*")
        response.headers.add("Access-Control-Expose-Headers", ", ".join(EXPOSED))
    return response


def _pattern(origin: str) -> str | re.Pattern[str]:
    return origin if origin == "*" else re.compile(re.escape(origin) + r"\Z")
