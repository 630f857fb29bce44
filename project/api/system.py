"""What the service says of itself: the API document and a page to try it in."""

from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Blueprint, Response, current_app

from project.api import document
from project.api.contract import revalidate, serves
from project.api.payload import MEDIA_TYPE
from project.errors import NotFound

PAGES = Path(__file__).parent / "pages"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
ASSETS = {
    "docs.js": (PAGES, "text/javascript"),
    "swagger-ui-bundle.js": (SWAGGER_UI, "text/javascript"),
    "swagger-ui.css": (SWAGGER_UI, "text/css"),
    "favicon-32x32.png": (SWAGGER_UI, "image/png"),
}

# All from this service alone. Swagger UI's style sheet draws some icons from data: URLs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

system_blueprint = Blueprint("system", __name__)


@system_blueprint.get("/openapi.json")
@serves(MEDIA_TYPE)
def get_document() -> dict[str, Any]:
    """Return this OpenAPI document."""
    return document.of(current_app)


@system_blueprint.get("/docs")
@serves("text/html")
def get_docs_page() -> Response:
    """Return a page that shows this document and can send every request."""
    page = (PAGES / "docs.html").read_text()
    return Response(page, headers={"Content-Security-Policy": PAGE_POLICY}, mimetype="text/html")


@system_blueprint.get("/docs/<asset>")
@serves("text/css", "text/javascript", "image/png", refusals=(NotFound,), revalidated=True)
def get_docs_asset(asset: str) -> Response:
    """Return a script, style sheet or icon of the documentation page."""
    if asset not in ASSETS:
        raise NotFound
    folder, media_type = ASSETS[asset]
    response = Response((folder / asset).read_bytes(), mimetype=media_type)
    response.cache_control.max_age = 3600
    return revalidate(response)
