"""What the service says of itself: the API document."""

from typing import Any

from flask import Blueprint, current_app

from project.http import openapi
from project.http.contract import serves
from project.http.payload import MEDIA_TYPE

system_blueprint = Blueprint("system", __name__)


@system_blueprint.get("/openapi.json")
@serves(MEDIA_TYPE)
def get_document() -> dict[str, Any]:
    """Return this OpenAPI document."""
    return openapi.of(current_app)
