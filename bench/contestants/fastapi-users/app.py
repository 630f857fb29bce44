"""Register, log in, log out and get the current user, with FastAPI Users.

After https://fastapi-users.github.io/fastapi-users/latest/configuration/full-example/ (the one for
SQLAlchemy), .../configuration/authentication/strategies/jwt/, .../strategies/database/ and
.../configuration/password-hash/. BENCH_STRATEGY is `jwt` or `database`. Run this file to create the
schema.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.password import PasswordHelper
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = os.environ["SECRET_KEY"]
# The lifetime of our tokens. No benchmark runs longer.
LIFETIME_SECONDS = 30 * 86400

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
passwords = PasswordHelper(PasswordHash((BcryptHasher(rounds=int(os.environ["BENCH_COST"])),)))


class Base(DeclarativeBase):
    """The models' base."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """An account."""

    username: Mapped[str] = mapped_column(String(128), unique=True)


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    """A token of the database strategy."""


class UserRead(schemas.BaseUser[uuid.UUID]):
    """An account in the responses to its owner."""

    username: str


class UserCreate(schemas.BaseUserCreate):
    """A new account."""

    username: str


class UserUpdate(schemas.BaseUserUpdate):
    """Changes of an account."""


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """The user manager of FastAPI Users."""

    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def open_session() -> AsyncIterator[AsyncSession]:
    """Yield the session of a request."""
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(open_session)]


async def make_manager(session: Session) -> AsyncIterator[UserManager]:
    """Yield the manager of a request."""
    yield UserManager(SQLAlchemyUserDatabase(session, User), passwords)


def make_jwt_strategy() -> JWTStrategy[User, uuid.UUID]:
    """Return the strategy for JSON Web Tokens."""
    return JWTStrategy(secret=SECRET, lifetime_seconds=LIFETIME_SECONDS)


def make_database_strategy(session: Session) -> DatabaseStrategy[User, uuid.UUID, AccessToken]:
    """Return the strategy for tokens in the database."""
    tokens = SQLAlchemyAccessTokenDatabase(session, AccessToken)
    return DatabaseStrategy(tokens, lifetime_seconds=LIFETIME_SECONDS)


backend = AuthenticationBackend(
    name="bearer",
    transport=BearerTransport(tokenUrl="auth/login"),
    get_strategy={"jwt": make_jwt_strategy, "database": make_database_strategy}[
        os.environ["BENCH_STRATEGY"]
    ],
)
fastapi_users = FastAPIUsers[User, uuid.UUID](make_manager, [backend])
app = FastAPI()
app.include_router(fastapi_users.get_auth_router(backend), prefix="/auth")
app.include_router(fastapi_users.get_register_router(UserRead, UserCreate), prefix="/auth")
app.include_router(fastapi_users.get_users_router(UserRead, UserUpdate), prefix="/users")


async def create_tables() -> None:
    """Create the schema."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


if __name__ == "__main__":
    asyncio.run(create_tables())
