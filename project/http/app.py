"""The Flask class of the service, which responds with JSON alone."""

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, Response
from flask.sessions import SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter, Rule


class JSONResponse(Response):
    """A response that is JSON by default."""

    default_mimetype = "application/json"

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the header fields; those of a 200 need no correction, and so no copy."""
        return self.headers if self.status_code == 200 else super().get_wsgi_headers(environ)


class NoCookies(SessionInterface):
    """A session interface without cookies: callers authenticate by tokens."""

    def open_session(self, app: Flask, request: Request) -> None:
        """Return no session."""


class MethodRule(Rule):
    """A route that can exclude HEAD by `head=False`.

    For a GET that changes something, since HEAD must not (RFC 9110, section 9.2.1).
    """

    def __init__(self, *args: Any, head: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        if not head and self.methods:
            self.methods.discard("HEAD")


class UsersService(Flask):
    """A Flask app whose own responses, too, are the JSON envelope."""

    response_class = JSONResponse
    url_rule_class = MethodRule
    session_interface = NoCookies()

    def ensure_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged, since no view is a coroutine; Flask checks every call."""
        return function

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return an adapter that routes `//ping` to no view; Werkzeug's treats it as `/ping`.

        A proxy with rules by path would let `//ping` pass a rule for `/ping`.
        """
        adapter = super().create_url_adapter(request)
        if adapter and request and request.environ["PATH_INFO"].startswith("//"):
            adapter.path_info = f"/.{request.environ['PATH_INFO']}"  # no route begins with a dot
        return adapter

    def make_default_options_response(self) -> Response:
        """Return the response to OPTIONS, and so to a CORS preflight, in the envelope."""
        allowed = ", ".join(sorted(super().make_default_options_response().allow))
        body = {"status": "success", "message": f"Allowed methods: {allowed}."}
        return JSONResponse(
            self.json.dumps(body, separators=(",", ":")), headers={"Allow": allowed}
        )
