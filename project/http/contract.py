"""Decorators that declare a view's contract: its request, its response and its errors.

Each decorator applies to every request and also records itself in the view's `Operation`. The API
document is built from the operations, so it always matches the code.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from project.errors import (
    BadRequest,
    InvalidPayload,
    PayloadTooLarge,
    ServiceError,
    UnsupportedMediaType,
)
from project.http.payload import (
    FORM,
    MEDIA_TYPE,
    read_form_or_json,
    read_json,
    read_optional_json,
    read_query,
)

View = Callable[..., Any]
BODY_ERRORS = (InvalidPayload, BadRequest, PayloadTooLarge, UnsupportedMediaType)
Errors = tuple[type[ServiceError], ...]


@dataclass(frozen=True)
class Operation:
    """A view's description for the API document."""

    body: type[BaseModel] | None = None
    body_required: bool = True
    body_types: tuple[str, ...] = (MEDIA_TYPE,)
    query: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    already_done: type[BaseModel] | None = None
    """The response, with 200, to a request that changes nothing."""
    media_types: tuple[str, ...] = (MEDIA_TYPE,)
    errors: Errors = ()
    public_setting: str = ""
    """The setting that makes the operation public, if any."""
    security_schemes: tuple[str, ...] = ()
    """The names of the accepted security schemes; a request needs one of them."""
    revalidated: bool = False
    """Whether the response has an ETag."""


def get_operation(view: View) -> Operation:
    """Return the description of a view; an empty one if no decorator has set it."""
    operation: Operation = getattr(view, "operation", Operation())
    return operation


def describe(view: View, errors: Errors = (), **changes: Any) -> View:
    """Add errors to a view's description, and replace other fields of it."""
    known = get_operation(view)
    changes["errors"] = known.errors + errors
    view.operation = replace(known, **changes)  # type: ignore[attr-defined]  # functions accept attributes
    return view


def accepts(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's body to the view, parsed as this model."""
    return _pass_parsed(partial(read_json, model), BODY_ERRORS, body=model)


def accepts_optional(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's body to the view, parsed as this model; no body means `{}`."""
    read = partial(read_optional_json, model)
    return _pass_parsed(read, BODY_ERRORS, body=model, body_required=False)


def accepts_form(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's body, form-encoded or JSON, to the view, parsed as this model."""
    read = partial(read_form_or_json, model)
    return _pass_parsed(read, BODY_ERRORS, body=model, body_types=(FORM, MEDIA_TYPE))


def accepts_query(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the query parameters to the view, parsed as this model."""
    return _pass_parsed(partial(read_query, model), (InvalidPayload,), query=model)


def _pass_parsed(
    read: Callable[[], BaseModel], errors: Errors, **described: Any
) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def parsed(*args: Any, **kwargs: Any) -> Any:
            return view(*args, read(), **kwargs)

        return describe(parsed, errors, **described)

    return decorate


def responds(
    model: type[BaseModel],
    *errors: type[ServiceError],
    status: int = 200,
    already_done: type[BaseModel] | None = None,
    sparse: bool = False,
    revalidated: bool = False,
) -> Callable[[View], View]:
    """Send the model that the view returns as JSON, with this status.

    A model of the class `already_done` has status 200. The view may return a tuple of the model and
    a dict of header fields. A `sparse` response omits fields that are None; a `revalidated` one has
    an ETag.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def responded(*args: Any, **kwargs: Any) -> Response:
            returned = view(*args, **kwargs)
            body, headers = returned if isinstance(returned, tuple) else (returned, {})
            content = body.model_dump_json(exclude_none=sparse)
            code = 200 if already_done and isinstance(body, already_done) else status
            response = Response(content, code, headers, mimetype=MEDIA_TYPE)
            if revalidated:
                response.headers.setdefault("Cache-Control", "private, no-cache")
                return revalidate(response)
            return response

        changes = {"status": status, "already_done": already_done, "revalidated": revalidated}
        return describe(responded, errors, response=model, **changes)

    return decorate


def revalidate(response: Response) -> Response:
    """Add an ETag; respond with 304 where the client's copy is current (RFC 9110, section 13)."""
    response.add_etag()
    response.make_conditional(request)
    return response


def serves(
    *media_types: str,
    errors: Errors = (),
    model: type[BaseModel] | None = None,
    status: int = 200,
    revalidated: bool = False,
) -> Callable[[View], View]:
    """Declare that the view makes its own response in one of these media types.

    `model` is the response's content where its media type is JSON.
    """

    def decorate(view: View) -> View:
        changes = {"media_types": media_types, "status": status, "revalidated": revalidated}
        return describe(view, errors, response=model, **changes)

    return decorate
