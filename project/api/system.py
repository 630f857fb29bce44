"""The API document."""

from typing import Any

from flask import Blueprint

from project.extensions import get_component
from project.http.contract import serves
from project.http.openapi import ApiDocument
from project.http.payload import MEDIA_TYPE

system_blueprint = Blueprint("system", __name__)


@system_blueprint.get("/openapi.json")
@serves(MEDIA_TYPE)
def get_document() -> dict[str, Any]:
    """Return this OpenAPI document."""
    return get_component(ApiDocument).content
