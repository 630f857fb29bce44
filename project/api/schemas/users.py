"""User accounts and the ping."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from project.accounts.directory import Cursor
from project.api.schemas.fields import (
    Timestamp,
    parse_cursor,
)
from project.http.envelope import QueryRequest, SuccessResponse

MAX_PAGE = 200


class PageRequest(QueryRequest):
    """The page of a list."""

    limit: Annotated[int | None, Field(ge=1, le=MAX_PAGE)] = None
    after: Annotated[
        Cursor | None,
        BeforeValidator(parse_cursor),
        WithJsonSchema({"type": "string", "description": "`data.next` of the previous page."}),
    ] = None


class PongResponse(SuccessResponse):
    """The process responds."""

    message: Literal["pong!"] = "pong!"


class NewUserData(BaseModel):
    """The new account."""

    id: Annotated[int, Field(examples=[7])]
    username: Annotated[str, Field(examples=["grace"])]
    email: Annotated[str, Field(examples=["grace@example.com"])]


class AddUserResponse(SuccessResponse):
    """The account that an administrator has created."""

    data: NewUserData
    message: Annotated[str, Field(examples=["grace@example.com was added!"])]


class UserData(BaseModel):
    """A user account."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[int, Field(examples=[1])]
    username: Annotated[str, Field(examples=["grace"])]
    email: Annotated[str, Field(examples=["grace@example.com"])]
    active: Annotated[bool, Field(examples=[True])]
    admin: Annotated[bool, Field(examples=[False])]
    created_at: Timestamp


class StatusData(UserData):
    """The account of the caller."""

    email_verified: Annotated[bool, Field(examples=[True])]

    @classmethod
    def of(cls, account: object, *, email_verified: bool) -> Self:
        """Return an account, with whether its address is verified."""
        known = UserData.model_validate(account).model_dump()
        return cls(**known, email_verified=email_verified)


class StatusResponse(SuccessResponse):
    """The authenticated user; for older clients, `admin` is repeated at the top level."""

    admin: Annotated[bool, Field(examples=[False])]
    data: StatusData


class UserResponse(SuccessResponse):
    """A user account."""

    data: UserData


class UserList(BaseModel):
    """User accounts, newest first."""

    users: list[UserData]
    next: Annotated[
        str | None,
        Field(description="The `after` of the next page; null on the last page."),
    ]


class UserListResponse(SuccessResponse):
    """A page of user accounts, or all of them."""

    data: UserList
