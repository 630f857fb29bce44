"""The fields of requests and responses, with their validation."""

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
from project.settings import mail_parsers

# Intranets use domains such as `.local` and `localhost`. Clearing the list is the library's
# documented way to accept them.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# For the API document. They are less strict than the validators: a pattern cannot list all ranges
# of Unicode's categories.
NO_NUL = r"^[^\u0000]*$"
VISIBLE = f"^[^{invisible.json_class()}]+$"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = re.compile(r"([0-9]{1,17})-([1-9][0-9]{0,9})", re.ASCII)


def _check_storable(text: str) -> str:
    # JSON allows both; PostgreSQL rejects NUL in text, and UTF-8 cannot encode a lone surrogate.
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


def _check_language(tag: str) -> str:
    if not mail_parsers.LANGUAGE.fullmatch(tag):
        raise PydanticCustomError("not_a_language", "This is not a language like en or de-AT.")
    return tag


def parse_cursor(text: str) -> Cursor:
    """Return the cursor that a client sent. Raises PydanticCustomError."""
    match = CURSOR.fullmatch(text)
    if match is None or int(match[2]) > MAX_ID:
        raise PydanticCustomError("invalid_cursor", "This is not the `next` of a previous page.")
    return Cursor(EPOCH + timedelta(microseconds=int(match[1])), int(match[2]))


def format_cursor(cursor: Cursor) -> str:
    """Return the cursor as a client sends it in `after`."""
    return f"{(cursor.created_at - EPOCH) // timedelta(microseconds=1)}-{cursor.id}"


def _iso8601(point: datetime) -> str:
    return point.strftime("%Y-%m-%dT%H:%M:%SZ")


SessionId = Annotated[
    UUID,
    PlainSerializer(lambda session_id: session_id.hex, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "The session's id, as in the `sid` claim of its tokens.",
            "examples": ["5c0f6b1e2d3a4b5c8d9e0f1a2b3c4d5e"],
        }
    ),
]
Text = Annotated[str, AfterValidator(_check_storable), Field(json_schema_extra={"pattern": NO_NUL})]
Username = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_USERNAME,
        examples=["grace"],
        description="At least one visible character, and no whitespace at the ends.",
        json_schema_extra={"pattern": VISIBLE},
    ),
    AfterValidator(_check_storable),
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
    AfterValidator(_check_storable),
    AfterValidator(_check_email),
]
Language = Annotated[
    str,
    Field(
        examples=["de"],
        description="A language tag (RFC 5646) such as `de` or `de-AT`.",
        json_schema_extra={"pattern": f"^{mail_parsers.LANGUAGE.pattern}$"},
    ),
    AfterValidator(_check_language),
]
NewPassword = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PASSWORD,
        examples=["correct horse battery staple"],
        json_schema_extra={"pattern": NO_NUL},
    ),
    AfterValidator(_check_storable),
]
Timestamp = Annotated[
    datetime,
    PlainSerializer(_iso8601, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T21:34:03Z"]}),
]
