"""User accounts and the ping."""

import re

from flask import Blueprint

from project.accounts import directory, registration
from project.accounts.sessions import Principal
from project.api.actor import actor
from project.api.guard import authenticate_unless_public, require_admin
from project.api.schemas import (
    AddUserResponse,
    NewUserData,
    PageRequest,
    PongResponse,
    RegisterRequest,
    UserData,
    UserList,
    UserListResponse,
    UserResponse,
)
from project.api.schemas.fields import format_cursor
from project.errors import EmailExists, NotPermitted, UserExists, UserNotFound
from project.http.contract import accepts, accepts_query, responds

DEFAULT_PAGE = 50
USER_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)

users_blueprint = Blueprint("users", __name__)


@users_blueprint.get("/ping")
@responds(PongResponse)
def ping_pong() -> PongResponse:
    """Return "pong!"."""
    return PongResponse()


@users_blueprint.get("/users")
@responds(UserListResponse)
@authenticate_unless_public
@accepts_query(PageRequest)
def get_all_users(caller: Principal | None, page: PageRequest) -> UserListResponse:
    """List the accounts, newest first.

    Requires an administrator, or no authentication where USERS_PUBLIC is set. Returns a page; where
    USERS_PUBLIC is set and the request has neither `limit` nor `after`, returns all accounts.
    """
    if caller is not None and not caller.admin:
        raise NotPermitted
    if caller is None and page.limit is None and page.after is None:
        users, next_cursor = directory.list_all(), None
    else:
        users, next_cursor = directory.list_page(page.limit or DEFAULT_PAGE, page.after)
    listed = [UserData.model_validate(user) for user in users]
    after = format_cursor(next_cursor) if next_cursor else None
    return UserListResponse(data=UserList(users=listed, next=after))


@users_blueprint.get("/users/<user_id>")
@responds(UserResponse, UserNotFound)
@authenticate_unless_public
def get_single_user(caller: Principal | None, user_id: str) -> UserResponse:
    """Return one account.

    Requires its owner or an administrator, or no authentication where USERS_PUBLIC is set.
    """
    if not USER_ID.fullmatch(user_id):
        raise UserNotFound
    if caller is not None and not caller.admin and caller.id != int(user_id):
        raise NotPermitted
    return UserResponse(data=UserData.model_validate(directory.get(int(user_id))))


@users_blueprint.post("/users")
@responds(AddUserResponse, EmailExists, UserExists, status=201)
@require_admin
@accepts(RegisterRequest)
def add_user(payload: RegisterRequest) -> AddUserResponse:
    """Create an account for another person, as an administrator."""
    user_id = registration.add_user(payload.username, payload.email, payload.password, actor())
    created = NewUserData(id=user_id, username=payload.username, email=payload.email)
    return AddUserResponse(message=f"{payload.email} was added!", data=created)
