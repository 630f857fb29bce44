"""The one place where whatever was raised becomes an answer."""

from flask import Flask, Response, current_app, g
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException

from project.database import failures
from project.errors import (
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    ServiceError,
    Unavailable,
)
from project.telemetry.request_id import request_id


def init_app(app: Flask) -> None:
    """Have every exception of every route answered here."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """Return the answer to whatever was raised; `g.error` is what it has become."""
    g.error = error = _refusal_of(error)
    body = current_app.json.dumps(error.body(), separators=(",", ":"))
    return Response(body, error.status, error.headers(), mimetype="application/json")


def _refusal_of(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, HTTPException):
        return _refusal_of_http(error)
    if failures.is_outage(error):
        said = failures.reason(error)
        current_app.logger.error("request %s: database unavailable: %s", request_id(), said)
        return Unavailable()
    current_app.logger.error("request %s failed", request_id(), exc_info=error)
    return InternalError()


def _refusal_of_http(error: HTTPException) -> ServiceError:
    if isinstance(error, exceptions.MethodNotAllowed):
        return MethodNotAllowed(list(error.valid_methods or ()))
    if isinstance(error, exceptions.NotFound):
        return NotFound()
    return BadRequest() if (error.code or 500) < 500 else InternalError()
