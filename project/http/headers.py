"""The header fields of every answer."""

from flask import Flask, Response

from project.telemetry.request_id import HEADER, request_id

FIXED = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)


def init_app(app: Flask) -> None:
    """Complete every answer of the app."""
    app.after_request(complete)


def complete(response: Response) -> Response:
    """Add what every answer has; what a view has set itself stays.

    An answer here is about one caller: no cache may keep it, and no page may frame or sniff it.
    """
    headers = response.headers
    # Header fields are a list: to look once for all of them is cheaper than once for each.
    present = {name.lower() for name in headers.keys()}  # noqa: SIM118  # it is no dict
    headers.add(HEADER, request_id())
    for name, value in FIXED:
        if name.lower() not in present:
            headers.add(name, value)
    return response
