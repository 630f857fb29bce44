"""Decorators that are read as a contract: what a view takes, what it answers, what it refuses.

Each does its part at every request and leaves a description on the view, of which the API document
is made; so what is documented is what is done.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

from flask import Response
from pydantic import BaseModel

from project.api.payload import MEDIA_TYPE, read_json, read_optional_json, read_query
from project.errors import (
    BadRequest,
    InvalidPayload,
    PayloadTooLarge,
    ServiceError,
    UnsupportedMediaType,
)

View = Callable[..., Any]
Refusals = tuple[type[ServiceError], ...]


@dataclass(frozen=True)
class Operation:
    """What the API document says of a view."""

    body: type[BaseModel] | None = None
    body_required: bool = True
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    media_types: tuple[str, ...] = (MEDIA_TYPE,)
    refusals: Refusals = ()
    secured: bool = False


def operation_of(view: View) -> Operation:
    """Return the description that the decorators left on a view."""
    operation: Operation = getattr(view, "operation", Operation())
    return operation


def describe(view: View, refusals: Refusals = (), **changes: Any) -> View:
    """Add to a view's description."""
    known = operation_of(view)
    changes["refusals"] = known.refusals + refusals
    view.operation = replace(known, **changes)  # type: ignore[attr-defined]  # a function takes any
    return view


def accepts(model: type[BaseModel], *, optional: bool = False) -> Callable[[View], View]:
    """Pass the request's body to the view as this model; an optional one may be missing."""
    refusals = (InvalidPayload, BadRequest, PayloadTooLarge, UnsupportedMediaType)
    read = partial(read_optional_json if optional else read_json, model)
    return _passes(read, refusals, body=model, body_required=not optional)


def accepts_query(model: type[BaseModel]) -> Callable[[View], View]:
    """Pass the request's query to the view as this model."""
    return _passes(partial(read_query, model), (InvalidPayload,), query=model)


def _passes(
    read: Callable[[], BaseModel], refusals: Refusals, **described: Any
) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def accept(*args: Any, **kwargs: Any) -> Any:
            return view(*args, read(), **kwargs)

        return describe(accept, refusals, **described)

    return decorate


def answers(
    model: type[BaseModel], *refusals: type[ServiceError], status: int = 200
) -> Callable[[View], View]:
    """Answer the model that the view returns, with this status."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            body: BaseModel = view(*args, **kwargs)
            return Response(body.model_dump_json(), status, mimetype=MEDIA_TYPE)

        return describe(answer, refusals, answer=model, status=status)

    return decorate


def serves(*media_types: str, refusals: Refusals = ()) -> Callable[[View], View]:
    """Say that the view answers something else than the envelope."""

    def decorate(view: View) -> View:
        return describe(view, refusals, media_types=media_types)

    return decorate
