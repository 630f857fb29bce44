"""The header fields of every response."""

from flask import Flask, Response

from project.telemetry.request_id import HEADER, request_id

FIXED = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)


def init_app(app: Flask) -> None:
    """Add the header fields to every response of the app."""
    app.after_request(add_fields)


def add_fields(response: Response) -> Response:
    """Add the request id and the fixed fields; a field that the view has set is unchanged.

    By default no cache may store a response, and no page may frame it or guess its type.
    """
    headers = response.headers
    # Werkzeug stores the fields as a list: one pass is cheaper than a search for each field.
    present = {name.lower() for name in headers.keys()}  # noqa: SIM118  # it is no dict
    headers.add(HEADER, request_id())
    for name, value in FIXED:
        if name.lower() not in present:
            headers.add(name, value)
    return response
