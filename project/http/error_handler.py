"""Turns every exception of a request into an error response."""

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
from project.http.payload import MEDIA_TYPE
from project.telemetry.request_id import request_id


def init_app(app: Flask) -> None:
    """Handle every exception of every route."""
    app.register_error_handler(Exception, respond)


def respond(error: Exception) -> Response:
    """Return the response to an exception, and set `g.error` for the metrics."""
    g.error = service_error = _service_error(error)
    body = current_app.json.dumps(service_error.body(), separators=(",", ":"))
    return Response(body, service_error.status, service_error.headers(), mimetype=MEDIA_TYPE)


def _service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, HTTPException):
        return _service_error_of_http(error)
    if failures.is_outage(error):
        reason = failures.describe(error)
        current_app.logger.error("request %s: database unavailable: %s", request_id(), reason)
        return Unavailable()
    current_app.logger.error("request %s failed", request_id(), exc_info=error)
    return InternalError()


def _service_error_of_http(error: HTTPException) -> ServiceError:
    if isinstance(error, exceptions.MethodNotAllowed):
        return MethodNotAllowed(list(error.valid_methods or ()))
    if isinstance(error, exceptions.NotFound):
        return NotFound()
    return BadRequest() if (error.code or 500) < 500 else InternalError()
