"""Reading what a client sent, strictly: either a typed request, or every fault in it."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from flask import request
from pydantic import BaseModel, ValidationError

from project.errors import (
    BadRequest,
    FieldError,
    FormExpected,
    InvalidPayload,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from project.security import strict_json
from project.serving import concurrency
from project.serving.broken_bodies import raised_as

MEDIA_TYPE = "application/json"
FORM = "application/x-www-form-urlencoded"
MAX_BODY = 16 * 1024
"""Bytes; the largest request of ours has a few hundred."""

Model = TypeVar("Model", bound=BaseModel)

# What pydantic calls a fault, in the words of this service's contract. A fault that is not here was
# raised by a rule of ours and brings its own.
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
MAX_FIELD_ERRORS = 20
"""A query can name thousands of parameters that do not exist; the first ones say enough."""


def read_form_or_json(model: type[Model]) -> Model:
    """Return the request's body, form-encoded or JSON, as this model."""
    if request.mimetype != FORM:
        return _read_json_for_form(model)
    try:
        pairs = parse_qsl(_read_body().decode(), True, True, errors="strict", max_num_fields=20)
    except ValueError:
        raise InvalidPayload([FieldError("", "invalid_form", "This is not a form.")]) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidPayload([FieldError("", "invalid_form", "This names a field twice.")])
    return validate(model, fields)


def _read_json_for_form(model: type[Model]) -> Model:
    try:
        return read_json(model)
    except UnsupportedMediaType:
        raise FormExpected from None


def read_optional_json(model: type[Model]) -> Model:
    """Return the request's body as this model; no body stands for an empty object."""
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return validate(model, {})
    return read_json(model)


def read_json(model: type[Model]) -> Model:
    """Return the request's body as this model.

    Raises InvalidPayload, PayloadTooLarge, UnsupportedMediaType, or BadRequest.
    """
    return validate(model, _read_object())


def read_query(model: type[Model]) -> Model:
    """Return the request's query as this model. Raises InvalidPayload."""
    return validate(model, request.args.to_dict())


def validate(model: type[Model], values: dict[str, Any]) -> Model:
    """Return the values as this model. Raises InvalidPayload with a fault for each bad field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:MAX_FIELD_ERRORS]
        raise InvalidPayload([_fault(fault) for fault in faults]) from None


def _fault(fault: Any) -> FieldError:
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] not in FIELD_ERRORS:
        return FieldError(field, fault["type"], fault["msg"])
    code, message = FIELD_ERRORS[fault["type"]]
    return FieldError(field, code, message.format(**fault.get("ctx", {})))


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
    """Return the whole body. Raises PayloadTooLarge, or BadRequest where it ends too soon."""
    declared = request.content_length or 0
    if declared > MAX_BODY:
        raise PayloadTooLarge
    with concurrency.places().released(), raised_as(BadRequest):
        body = _read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise PayloadTooLarge
    if len(body) < declared:
        raise BadRequest
    return body


def _read(most: int) -> bytes:
    """Return what is left of the body, up to this many bytes."""
    body = b""
    while len(body) < most and (piece := request.stream.read(most - len(body))):
        body += piece
    return body
