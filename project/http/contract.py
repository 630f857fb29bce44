"""Decorators that are read as a contract: what a view takes, what it answers, what it refuses.

Each does its part at every request and leaves a description on the view, of which the API document
is made; so what is documented is what is done.
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
    """What the API document says of a view."""

    body: type[BaseModel] | None = None
    body_required: bool = True
    body_types: tuple[str, ...] = (MEDIA_TYPE,)
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    media_types: tuple[str, ...] = (MEDIA_TYPE,)
    errors: Errors = ()
    public_where: str = ""
    """The setting that makes the operation public; empty for none."""
    secured: tuple[str, ...] = ()
    """The security schemes, any of which will do; none where it is empty."""
    revalidated: bool = False


def operation_of(view: View) -> Operation:
    """Return the description that the decorators left on a view."""
    operation: Operation = getattr(view, "operation", Operation())
    return operation


def describe(view: View, errors: Errors = (), **changes: Any) -> View:
    """Add to a view's description."""
    known = operation_of(view)
    changes["errors"] = known.errors + errors
    view.operation = replace(known, **changes)  # type: ignore[attr-defined]  # a function takes any
    return view


def accepts(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's body to the view as this model."""
    return _passes(partial(read_json, model), BODY_ERRORS, body=model)


def accepts_optional(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's body to the view as this model; no body is an empty object."""
    read = partial(read_optional_json, model)
    return _passes(read, BODY_ERRORS, body=model, body_required=False)


def accepts_form(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's body, form-encoded or JSON, to the view as this model."""
    read = partial(read_form_or_json, model)
    return _passes(read, BODY_ERRORS, body=model, body_types=(FORM, MEDIA_TYPE))


def accepts_query(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's query to the view as this model."""
    return _passes(partial(read_query, model), (InvalidPayload,), query=model)


def _passes(
    read: Callable[[], BaseModel], errors: Errors, **described: Any
) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def accept(*args: Any, **kwargs: Any) -> Any:
            return view(*args, read(), **kwargs)

        return describe(accept, errors, **described)

    return decorate


def responds(
    model: type[BaseModel],
    *errors: type[ServiceError],
    status: int = 200,
    sparse: bool = False,
    revalidated: bool = False,
) -> Callable[[View], View]:
    """Answer the model that the view returns, with this status.

    A view may return header fields beside it. A sparse answer leaves out what is None; one that is
    revalidated has an ETag.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            returned = view(*args, **kwargs)
            body, headers = returned if isinstance(returned, tuple) else (returned, {})
            dumped = body.model_dump_json(exclude_none=sparse)
            response = Response(dumped, status, headers, mimetype=MEDIA_TYPE)
            if revalidated:
                response.headers.setdefault("Cache-Control", "private, no-cache")
                return revalidate(response)
            return response

        return describe(answer, errors, answer=model, status=status, revalidated=revalidated)

    return decorate


def revalidate(response: Response) -> Response:
    """Give the answer an ETag; it is 304 to a client that has it already (RFC 9110, section 13)."""
    response.add_etag()
    response.make_conditional(request)
    return response


def serves(
    *media_types: str, errors: Errors = (), status: int = 200, revalidated: bool = False
) -> Callable[[View], View]:
    """Say that the view answers something else than the envelope."""

    def decorate(view: View) -> View:
        changes = {"media_types": media_types, "status": status, "revalidated": revalidated}
        return describe(view, errors, **changes)

    return decorate
