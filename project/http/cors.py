"""CORS: permission for pages of other origins to call the service (Fetch standard, section 3.2)."""

import re

from flask import Flask, Response, request

from project.extensions import cors

EVERY_ORIGIN = ["*"]
PRIVATE_PATH = "/metrics"
"""The path that pages of other origins can never read, whatever CORS_ORIGINS is."""

EXPOSED = ["RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID"]
MAX_AGE = 600
"""Seconds for which a browser may cache the response to a preflight request."""


def init_app(app: Flask) -> None:
    """Allow the origins of CORS_ORIGINS.

    Flask runs the hooks of this function in reverse order.
    """
    origins = app.config["CORS_ORIGINS"]
    if origins != EVERY_ORIGIN:
        app.after_request(vary_by_origin)
    cors.init_app(
        app,
        # Compiled, since Flask-Cors reads some literal origins as regular expressions.
        origins=[_pattern(origin) for origin in origins],
        resources=rf"/(?!{PRIVATE_PATH[1:]}$).*",
        send_wildcard=True,
        expose_headers=EXPOSED,
        max_age=MAX_AGE,
    )
    if origins == EVERY_ORIGIN:
        app.after_request(allow_every_origin)


def vary_by_origin(response: Response) -> Response:
    """Add `Vary: Origin`, so that a cache uses the response for one origin only.

    Flask-Cors adds it only for an allowed origin.
    """
    if request.path != PRIVATE_PATH:
        response.vary.add("Origin")
    return response


def allow_every_origin(response: Response) -> Response:
    """Add the fields that Flask-Cors would add, which then skips the response.

    They are the same for every request but a preflight, and Flask-Cors takes a tenth of the time of
    `/auth/status` to compute them. An error response has them already.
    """
    is_done = "Access-Control-Allow-Origin" in response.headers
    if not is_done and request.method != "OPTIONS" and request.path != PRIVATE_PATH:
        response.headers.add("Access-Control-Allow-Origin", "*")
        response.headers.add("Access-Control-Expose-Headers", ", ".join(EXPOSED))
    return response


def _pattern(origin: str) -> str | re.Pattern[str]:
    return origin if origin == "*" else re.compile(re.escape(origin) + r"\Z")
