"""The Flask class of the service: every response is the JSON envelope."""

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, Response
from flask.sessions import SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter, Rule


class JSONResponse(Response):
    """An answer that is JSON unless it says otherwise."""

    default_mimetype = "application/json"

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the header fields; those of a plain success are whole, and need no copy."""
        return self.headers if self.status_code == 200 else super().get_wsgi_headers(environ)


class NoCookies(SessionInterface):
    """Reads no cookie and sets none: who calls is shown by a token."""

    def open_session(self, app: Flask, request: Request) -> None:
        """Open none."""


class MethodRule(Rule):
    """A route that answers HEAD as it does GET, unless it says `head=False`.

    For a GET that changes something: HEAD never does (RFC 9110, section 9.2.1).
    """

    def __init__(self, *args: Any, head: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        if not head and self.methods:
            self.methods.discard("HEAD")


class UsersService(Flask):
    """A Flask app that answers nothing but the JSON envelope."""

    response_class = JSONResponse
    url_rule_class = MethodRule
    session_interface = NoCookies()

    def ensure_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none here is a coroutine, and Flask asks that of each."""
        return function

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the adapter that finds a request's route; Werkzeug's takes `//ping` for `/ping`.

        A proxy that has rules by path takes them for two paths.
        """
        adapter = super().create_url_adapter(request)
        if adapter and request and request.environ["PATH_INFO"].startswith("//"):
            adapter.path_info = f"/.{request.environ['PATH_INFO']}"  # no route begins with a dot
        return adapter

    def make_default_options_response(self) -> Response:
        """Answer OPTIONS, and with it every CORS preflight, in the envelope."""
        allowed = ", ".join(sorted(super().make_default_options_response().allow))
        body = {"status": "success", "message": f"Allowed methods: {allowed}."}
        return JSONResponse(
            self.json.dumps(body, separators=(",", ":")), headers={"Allow": allowed}
        )
