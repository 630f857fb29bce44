"""What the service says of itself: the API document."""

from typing import Any

from flask import Blueprint, current_app

from project.api import document
from project.api.contract import serves
from project.api.payload import MEDIA_TYPE

system_blueprint = Blueprint("system", __name__)


@system_blueprint.get("/openapi.json")
@serves(MEDIA_TYPE)
def get_document() -> dict[str, Any]:
    """Return this OpenAPI document."""
    return document.of(current_app)
