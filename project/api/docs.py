"""Interactive documentation (Swagger UI), served where DOCS_ENABLED is set."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from weakref import WeakSet

import flask_swagger_ui
from flask import Blueprint, Flask, Response, request

from project.errors import NotFound, TooManyTransfers
from project.http.contract import serves
from project.http.payload import MEDIA_TYPE

PAGES = Path(__file__).parent / "pages"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
ASSETS = {
    "docs.js": (PAGES, "text/javascript"),
    "swagger-ui-bundle.js": (SWAGGER_UI, "text/javascript"),
    "swagger-ui.css": (SWAGGER_UI, "text/css"),
    "favicon-32x32.png": (SWAGGER_UI, "image/png"),
}
CHUNK = 32 * 1024
"""Bytes that the server gets at a time: it copies each chunk and waits for its client."""
MAX_TRANSFERS = 32
"""Concurrent transfers of a process. A client that stops reading holds its connection until
CLIENT_TIMEOUT_SECONDS, and such clients must not hold all connections."""

# Everything comes from this service, except icons from data: URLs in Swagger UI's style sheet.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

docs_blueprint = Blueprint("docs", __name__)


def init_app(app: Flask) -> None:
    """Register the routes where DOCS_ENABLED is set."""
    if app.config["DOCS_ENABLED"]:
        app.register_blueprint(docs_blueprint)


@dataclass(frozen=True)
class Representation:
    """The content of a file in one encoding, shared by all responses."""

    content: bytes
    etag: str

    @classmethod
    def from_content(cls, content: bytes) -> "Representation":
        """Return the content with its ETag."""
        return cls(content, hashlib.sha256(content).hexdigest()[:32])


class Transfer:
    """The body of one response; it counts as active until the server drops its reference."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        active_transfers.add(self)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content in chunks."""
        for start in range(0, len(self._content), CHUNK):
            yield self._content[start : start + CHUNK]


active_transfers: WeakSet[Transfer] = WeakSet()
"""The transfers of this process."""


@docs_blueprint.get("/")
@serves(MEDIA_TYPE, status=302, errors=(NotFound,))
def get_root() -> Response:
    """Redirect a browser to the documentation; respond with 404 to any other client."""
    if request.accept_mimetypes.best_match((MEDIA_TYPE, "text/html")) != "text/html":
        raise NotFound
    body = '{"status":"success","message":"See /docs."}'
    fields = {"Location": "docs", "Vary": "Accept"}
    return Response(body, 302, fields, content_type=MEDIA_TYPE)


@docs_blueprint.get("/docs")
@serves("text/html")
def get_docs_page() -> Response:
    """Return the interactive documentation."""
    page = (PAGES / "docs.html").read_text()
    return Response(page, headers={"Content-Security-Policy": PAGE_POLICY}, mimetype="text/html")


@docs_blueprint.get("/docs/<asset>")
@serves(
    "text/css",
    "text/javascript",
    "image/png",
    errors=(NotFound, TooManyTransfers),
    revalidated=True,
)
def get_docs_asset(asset: str) -> Response:
    """Return a script, style sheet or icon of the documentation."""
    if asset not in ASSETS:
        raise NotFound
    if len(active_transfers) >= MAX_TRANSFERS:
        raise TooManyTransfers
    encoding = "gzip" if request.accept_encodings["gzip"] else "identity"
    file = load_asset(asset, encoding)
    response = Response(Transfer(file.content), mimetype=ASSETS[asset][1])
    response.content_length = len(file.content)
    if encoding == "gzip":
        response.content_encoding = encoding
    response.vary.add("Accept-Encoding")
    response.cache_control.max_age = 3600
    response.set_etag(file.etag)
    return response.make_conditional(request)  # type: ignore[return-value]  # it is the same one


@cache
def load_asset(asset: str, encoding: str) -> Representation:
    """Return an asset in this encoding; each is read and compressed once in a process."""
    folder, _ = ASSETS[asset]
    content = (folder / asset).read_bytes()
    return Representation.from_content(
        gzip.compress(content, mtime=0) if encoding == "gzip" else content
    )
