"""The fields that requests and answers are made of, and the rules for each."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import email_validator
from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from project.accounts.directory import MAX_ID, Cursor
from project.http.payload import INVALID_TEXT
from project.security import invisible
from project.security.identifiers import MAX_EMAIL, MAX_USERNAME
from project.security.passwords.hashing import MAX_PASSWORD

# An address is checked for syntax alone, and `.local` or `localhost` is a good domain to an
# intranet. The library's documented way to accept such names is to take them off its list.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# For the API document. They match more than is accepted: the categories of Unicode have too many
# ranges for a pattern.
NO_NUL = r"^[^\u0000]*$"
VISIBLE = f"^[^{invisible.json_class()}]+$"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
POSITION = re.compile(r"([0-9]{1,17})-([1-9][0-9]{0,9})", re.ASCII)


def _check_readable(text: str) -> str:
    # JSON can spell both; PostgreSQL has no NUL in text, and UTF-8 has no lone surrogate.
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("invalid_text", INVALID_TEXT)
    return text


def _check_username(username: str) -> str:
    _check_visible(username)
    if username != username.strip():
        raise PydanticCustomError("surrounding_whitespace", "This begins or ends with whitespace.")
    if invisible.is_blank(username):
        raise PydanticCustomError("invisible_character", "This contains no visible character.")
    return username


def _check_visible(text: str) -> str:
    if invisible.contains_invisible(text):
        raise PydanticCustomError("invisible_character", "This contains an invisible character.")
    return text


def _check_email(email: str) -> str:
    try:
        email_validator.validate_email(
            email, check_deliverability=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError:
        raise PydanticCustomError("not_an_email", "This is not an e-mail address.") from None
    return _check_visible(email)


def parse_cursor(text: str) -> Cursor:
    """Return the place in a list that a client sent back."""
    form = POSITION.fullmatch(text)
    if form is None or int(form[2]) > MAX_ID:
        raise PydanticCustomError("invalid_cursor", "This is not the `next` of a previous page.")
    return Cursor(EPOCH + timedelta(microseconds=int(form[1])), int(form[2]))


def format_cursor(position: Cursor) -> str:
    """Return what a client sends as `after` to go on from here."""
    return f"{(position.created_at - EPOCH) // timedelta(microseconds=1)}-{position.id}"


def _iso8601(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


SessionId = Annotated[
    UUID,
    PlainSerializer(lambda session_id: session_id.hex, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "A session, spelled as in the `sid` claim of its tokens.",
            "examples": ["5c0f6b1e2d3a4b5c8d9e0f1a2b3c4d5e"],
        }
    ),
]
Text = Annotated[str, AfterValidator(_check_readable), Field(json_schema_extra={"pattern": NO_NUL})]
Username = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_USERNAME,
        examples=["grace"],
        description="At least one visible character, and no whitespace at the ends.",
        json_schema_extra={"pattern": VISIBLE},
    ),
    AfterValidator(_check_readable),
    AfterValidator(_check_username),
]
Email = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_EMAIL,
        examples=["grace@example.com"],
        json_schema_extra={"format": "email"},
    ),
    AfterValidator(_check_readable),
    AfterValidator(_check_email),
]
NewPassword = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PASSWORD,
        examples=["correct horse battery staple"],
        json_schema_extra={"pattern": NO_NUL},
    ),
    AfterValidator(_check_readable),
]
Timestamp = Annotated[
    datetime,
    PlainSerializer(_iso8601, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T21:34:03Z"]}),
]
