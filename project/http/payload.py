"""Strict parsing of request bodies and query parameters into models."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from project.errors import (
    BadRequest,
    FieldError,
    FormExpected,
    InvalidPayload,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from project.extensions import get_component
from project.security import strict_json
from project.serving.broken_bodies import raised_as
from project.serving.concurrency import ConcurrencyLimiter

MEDIA_TYPE = "application/json"
FORM = "application/x-www-form-urlencoded"
MAX_BODY = 16 * 1024
"""Maximum size of a body in bytes; most have a few hundred."""

Model = TypeVar("Model", bound=BaseModel)

INVALID_TEXT = "This contains a NUL or an unpaired surrogate."
FIELD_ERRORS = {
    "missing": ("missing", "This field is required."),
    "string_type": ("wrong_type", "This must be a string."),
    "string_unicode": ("invalid_text", INVALID_TEXT),
    "literal_error": ("unknown_choice", "This must be one of {expected}."),
    "string_too_short": ("too_short", "This is too short."),
    "string_too_long": ("too_long", "This is too long."),
    "int_parsing": ("wrong_type", "This must be a whole number."),
    "int_parsing_size": ("out_of_range", "This number is too large."),
    "int_from_float": ("wrong_type", "This must be a whole number."),
    "greater_than_equal": ("out_of_range", "This number is too small."),
    "less_than_equal": ("out_of_range", "This number is too large."),
    "extra_forbidden": ("unknown_parameter", "This parameter does not exist."),
}
"""Code and message for each of pydantic's error types. Other validators define their own."""
MAX_FIELD_ERRORS = 20
"""Maximum number of errors in a response. A query can have thousands of unknown parameters."""


def read_form_or_json(model: type[Model]) -> Model:
    """Return the request's body, a form or JSON, as this model.

    Raises InvalidPayload, PayloadTooLarge, FormExpected, or BadRequest.
    """
    if request.mimetype != FORM:
        return _read_json_or_form_error(model)
    try:
        pairs = parse_qsl(_read_body().decode(), True, True, errors="strict", max_num_fields=20)
    except ValueError:
        raise InvalidPayload([FieldError("", "invalid_form", "This is not a form.")]) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidPayload([FieldError("", "invalid_form", "This contains a field twice.")])
    return validate(model, fields)


def _read_json_or_form_error(model: type[Model]) -> Model:
    try:
        return read_json(model)
    except UnsupportedMediaType:
        raise FormExpected from None


def read_optional_json(model: type[Model]) -> Model:
    """Return the request's body as this model; no body means an empty object."""
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return validate(model, {})
    return read_json(model)


def read_json(model: type[Model]) -> Model:
    """Return the request's body as this model.

    Raises InvalidPayload, PayloadTooLarge, UnsupportedMediaType, or BadRequest.
    """
    return validate(model, _read_object())


def read_query(model: type[Model]) -> Model:
    """Return the query parameters as this model. Raises InvalidPayload."""
    return validate(model, request.args.to_dict())


def validate(model: type[Model], values: dict[str, Any]) -> Model:
    """Return the values as this model. Raises InvalidPayload with an error for each bad field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)[:MAX_FIELD_ERRORS]
        raise InvalidPayload([_field_error(one) for one in errors]) from None


def _field_error(error: ErrorDetails) -> FieldError:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] not in FIELD_ERRORS:
        return FieldError(field, error["type"], error["msg"])
    code, message = FIELD_ERRORS[error["type"]]
    return FieldError(field, code, message.format(**error.get("ctx", {})))


def _read_object() -> dict[str, Any]:
    raw = _read_body()
    if not raw:
        raise InvalidPayload([FieldError("", "missing", "A JSON object is required.")])
    if request.mimetype != MEDIA_TYPE or request.content_encoding not in (None, "identity"):
        raise UnsupportedMediaType
    try:
        document = strict_json.loads(raw)
    except ValueError:
        raise InvalidPayload([FieldError("", "not_json", "This is not JSON.")]) from None
    if not isinstance(document, dict):
        raise InvalidPayload([FieldError("", "wrong_type", "This must be a JSON object.")])
    return document


def _read_body() -> bytes:
    """Return the whole body. Raises PayloadTooLarge, or BadRequest if the body is incomplete."""
    declared = request.content_length or 0
    if declared > MAX_BODY:
        raise PayloadTooLarge
    with get_component(ConcurrencyLimiter).released(), raised_as(BadRequest):
        body = _read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise PayloadTooLarge
    if len(body) < declared:
        raise BadRequest
    return body


def _read(limit: int) -> bytes:
    """Return the rest of the body, up to this many bytes."""
    body = b""
    while len(body) < limit and (piece := request.stream.read(limit - len(body))):
        body += piece
    return body
