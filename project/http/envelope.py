"""The models that every request and response derives from."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """A request's body; members other than its fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class QueryRequest(BaseModel):
    """The parameters of a query; another one is an error, since it would have no effect."""

    model_config = ConfigDict(extra="forbid")


class SuccessResponse(BaseModel):
    """The member that every success has."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["success"] = "success"


class FieldError(BaseModel):
    """One error in a payload."""

    field: Annotated[str, Field(description="The field's name; empty for the whole payload.")]
    code: str
    message: str


class ErrorResponse(BaseModel):
    """The body of every error."""

    status: Literal["error"] = "error"
    message: str
    code: str
    errors: list[FieldError] | None = None
    check: Literal["database", "schema", "secret", "draining"] | None = None
