"""users: accounts and tokens for every other service of a product."""

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, Response
from flask.sessions import SessionInterface
from werkzeug.datastructures import Headers

from project import config, delivery, error_handler
from project.accounts import keyring, presence
from project.api import access, admission, cors, headers, metrics
from project.api.auth import auth_blueprint
from project.api.health import health_blueprint
from project.api.services import services_blueprint
from project.api.system import system_blueprint
from project.api.users import users_blueprint
from project.config import BaseConfig
from project.database import deadline, timeouts
from project.extensions import bcrypt, db, end_transaction, migrate, reads
from project.security.hashing import HashingPool
from project.telemetry import logs

__all__ = ["bcrypt", "create_app", "db"]

BLUEPRINTS = (
    auth_blueprint,
    services_blueprint,
    users_blueprint,
    health_blueprint,
    system_blueprint,
)


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


class UsersService(Flask):
    """A Flask app that answers nothing but the JSON envelope."""

    response_class = JSONResponse
    session_interface = NoCookies()

    def ensure_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none here is a coroutine, and Flask asks that of each."""
        return function

    def make_default_options_response(self) -> Response:
        """Answer OPTIONS, and with it every CORS preflight, in the envelope."""
        allowed = ", ".join(sorted(super().make_default_options_response().allow))
        body = {"status": "success", "message": f"Allowed methods: {allowed}."}
        return JSONResponse(
            self.json.dumps(body, separators=(",", ":")), headers={"Allow": allowed}
        )


def create_app(settings: str | type[BaseConfig] | None = None, **overrides: object) -> Flask:
    """Return the service as a WSGI app.

    `settings` is a class of `project.config` or its path; without it APP_SETTINGS chooses. The
    overrides are single settings. Raises ConfigError with every fault of the configuration.
    """
    configuration = config.load(settings, overrides)
    app = UsersService(__name__, static_folder=None, instance_path=configuration["INSTANCE_PATH"])
    app.config.from_mapping(configuration)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has them
    app.json.compact = True  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # a redirect would be an answer without the envelope
    logs.init_app(app)
    access.init_app(app)
    _init_extensions(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if app.config["STRICT"] and not app.config["THROTTLE_ENABLED"]:
        app.logger.warning("THROTTLE_ENABLED is off: anybody may guess passwords without end")
    return app


def _init_extensions(app: Flask) -> None:
    if longest := timeouts.of(app.config).request:
        deadline.init_app(app, longest.total_seconds())
    db.init_app(app)
    reads.init_app(app)
    app.teardown_request(end_transaction)
    bcrypt.init_app(app)
    migrate.init_app(app, db)
    cors.init_app(app)
    presence.init_app(app)
    keyring.init_app(app)
    error_handler.init_app(app)
    headers.init_app(app)
    admission.init_app(app)
    app.extensions["hashing_pool"] = HashingPool(
        app.config["HASH_THREADS"],
        app.config["HASH_QUEUE"],
        app.config["HASH_NICENESS"],
        while_waiting=app.extensions["places"].lent,
    )
    metrics.init_app(app)
    delivery.init_app(app)
