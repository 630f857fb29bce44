"""A user's sessions."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from project.api.schemas.fields import (
    SessionId,
    Timestamp,
)
from project.http.envelope import SuccessResponse


class EndSessionResponse(SuccessResponse):
    """That session has ended."""

    message: Literal["Session ended."] = "Session ended."


class SessionData(BaseModel):
    """A session that has not ended."""

    id: SessionId
    created_at: Timestamp
    last_seen_at: Annotated[Timestamp, Field(description="To the minute.")]
    address: Annotated[str, Field(examples=["203.0.113.7"])]
    user_agent: Annotated[str, Field(examples=["Mozilla/5.0"])]
    current: Annotated[bool, Field(description="Whether the request was made by this session.")]


class SessionList(BaseModel):
    """Sessions, the last seen first."""

    sessions: list[SessionData]


class SessionListResponse(SuccessResponse):
    """The caller's open sessions."""

    data: SessionList
