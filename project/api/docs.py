"""A page to try the API in, where DOCS_ENABLED is set."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from weakref import WeakSet

import flask_swagger_ui
from flask import Blueprint, Flask, Response, request

from project.errors import NotFound, Overloaded
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
PIECE = 32 * 1024
"""Bytes that are handed to the server at a time: it copies what it is given, and waits for the
client before it asks for more."""
MAX_TRANSFERS = 32
"""Files that a process sends at once: a client that does not read holds a connection for as long as
CLIENT_TIMEOUT_SECONDS lets it, and these must not be all of them."""

# All from this service alone. Swagger UI's style sheet draws some icons from data: URLs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

docs_blueprint = Blueprint("docs", __name__)


def init_app(app: Flask) -> None:
    """Serve the page where it is wanted; elsewhere its paths are unknown."""
    if app.config["DOCS_ENABLED"]:
        app.register_blueprint(docs_blueprint)


@dataclass(frozen=True)
class Representation:
    """A file as it is sent, in one encoding; all its responses share it."""

    content: bytes
    etag: str

    @classmethod
    def of(cls, content: bytes) -> "Representation":
        """Return these bytes with their ETag."""
        return cls(content, hashlib.sha256(content).hexdigest()[:32])


class Transfer:
    """The body of one response; it counts until the server lets go of it, however that comes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        under_way.add(self)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content a piece at a time."""
        for start in range(0, len(self._content), PIECE):
            yield self._content[start : start + PIECE]


under_way: WeakSet[Transfer] = WeakSet()
"""The transfers of this process."""


class TooManyTransfers(Overloaded):
    """So many files are being sent that another one would keep connections from other requests."""

    message = "Too many transfers at once. Try again later."

    def headers(self) -> dict[str, str]:
        """Return when to try again; the connection is needed for others."""
        return super().headers() | {"Connection": "close"}


@docs_blueprint.get("/")
@serves(MEDIA_TYPE, status=302, errors=(NotFound,))
def get_root() -> Response:
    """Redirect a browser to the documentation page; any other client gets 404."""
    if request.accept_mimetypes.best_match((MEDIA_TYPE, "text/html")) != "text/html":
        raise NotFound
    body = '{"status":"success","message":"See /docs."}'
    fields = {"Location": "docs", "Vary": "Accept"}
    return Response(body, 302, fields, content_type=MEDIA_TYPE)


@docs_blueprint.get("/docs")
@serves("text/html")
def get_docs_page() -> Response:
    """Return a page that shows this document and can send every request."""
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
    """Return a script, style sheet or icon of the documentation page."""
    if asset not in ASSETS:
        raise NotFound
    if len(under_way) >= MAX_TRANSFERS:
        raise TooManyTransfers
    encoding = "gzip" if request.accept_encodings["gzip"] else "identity"
    sent = representation(asset, encoding)
    response = Response(Transfer(sent.content), mimetype=ASSETS[asset][1])
    response.content_length = len(sent.content)
    if encoding == "gzip":
        response.content_encoding = encoding
    response.vary.add("Accept-Encoding")
    response.cache_control.max_age = 3600
    response.set_etag(sent.etag)
    return response.make_conditional(request)  # type: ignore[return-value]  # it is the same one


@cache
def representation(asset: str, encoding: str) -> Representation:
    """Return a file in this encoding; read, and compressed, once in each process."""
    folder, _ = ASSETS[asset]
    content = (folder / asset).read_bytes()
    return Representation.of(gzip.compress(content, mtime=0) if encoding == "gzip" else content)
