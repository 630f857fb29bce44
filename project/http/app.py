"""The Flask class of the service, which responds with JSON only."""

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
        """Return the header fields. Those of a 200 need no correction, so they are not copied."""
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
    """A Flask app whose own responses have the JSON envelope too."""

    response_class = JSONResponse
    url_rule_class = MethodRule
    session_interface = NoCookies()

    def ensure_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged, since no view is a coroutine; Flask checks every call."""
        return function

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return an adapter that routes `//ping` and an empty path to no view.

        Werkzeug's treats `//ping` as `/ping`, so it would pass a proxy's rule for `/ping`. An empty
        path, as of the malformed request `GET ping`, would be a redirect without the envelope.
        """
        adapter = super().create_url_adapter(request)
        if adapter and request:
            path = request.environ["PATH_INFO"]
            if not path or path.startswith("//"):
                adapter.path_info = f"/.{path}"  # no route begins with a dot
        return adapter

    def make_default_options_response(self) -> Response:
        """Return the response to OPTIONS, and so to a CORS preflight, in the envelope."""
        allowed = ", ".join(sorted(super().make_default_options_response().allow))
        body = {"status": "success", "message": f"Allowed methods: {allowed}."}
        return JSONResponse(
            self.json.dumps(body, separators=(",", ":")), headers={"Allow": allowed}
        )
