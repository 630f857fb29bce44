"""The header fields of every answer."""

from flask import Flask, Response

from project.telemetry.request_id import HEADER, request_id


def init_app(app: Flask) -> None:
    """Complete every answer of the app."""
    app.after_request(complete)


def complete(response: Response) -> Response:
    """Add what every answer has; what a view has set itself stays.

    An answer here is about one caller: no cache may keep it, and no page may frame or sniff it.
    """
    headers = response.headers
    headers[HEADER] = request_id()
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers["X-Content-Type-Options"] = "nosniff"
    return response
