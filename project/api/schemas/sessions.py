"""The caller's sessions."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from project.api.schemas.fields import (
    SessionId,
    Timestamp,
)
from project.http.envelope import SuccessResponse


class EndSessionResponse(SuccessResponse):
    """The session has ended."""

    message: Literal["Session ended."] = "Session ended."


class SessionData(BaseModel):
    """An open session."""

    id: SessionId
    created_at: Timestamp
    last_seen_at: Annotated[
        Timestamp,
        Field(description="Rounded down to the minute, and never before `created_at`."),
    ]
    address: Annotated[str, Field(examples=["203.0.113.7"])]
    user_agent: Annotated[str, Field(examples=["Mozilla/5.0"])]
    current: Annotated[bool, Field(description="Whether this session made the request.")]


class SessionList(BaseModel):
    """Open sessions, the most recently seen first."""

    sessions: list[SessionData]


class SessionListResponse(SuccessResponse):
    """The caller's open sessions."""

    data: SessionList
