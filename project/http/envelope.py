"""The base models of requests and responses."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from project.errors import FieldError


class Request(BaseModel):
    """The body of a request; unknown members are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class QueryRequest(BaseModel):
    """The query parameters of a request; an unknown one is an error, as it would have no effect."""

    model_config = ConfigDict(extra="forbid")


class SuccessResponse(BaseModel):
    """The member that every success response has."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["success"] = "success"


class ErrorResponse(BaseModel):
    """The body of every error."""

    status: Literal["error"] = "error"
    message: str
    code: str
    errors: Annotated[
        list[FieldError] | None, Field(description="For `invalid_payload`: every error.")
    ] = None
    check: Annotated[
        Literal["database", "schema", "secret", "draining"] | None,
        Field(description="For `not_ready`: the check that failed."),
    ] = None
