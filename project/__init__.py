"""users: accounts, passwords, tokens and sessions for the services of a product."""

import logging

from flask import Flask

from project import config, delivery
from project.accounts.sessions import last_seen
from project.accounts.signing_keys import source
from project.api import docs, features, metrics
from project.api.auth import auth_blueprint
from project.api.health import health_blueprint
from project.api.services import services_blueprint
from project.api.system import system_blueprint
from project.api.users import users_blueprint
from project.config import BaseConfig
from project.extensions import (
    add_component,
    autocommit,
    bcrypt,
    db,
    get_component,
    migrate,
)
from project.http import client_address, error_handler, middleware, openapi
from project.http.app import UsersService
from project.serving import concurrency, shared_secret
from project.serving.concurrency import ConcurrencyLimiter
from project.serving.hashing_pool import HashingPool
from project.telemetry import logs

__all__ = ["bcrypt", "create_app", "db"]

logger = logging.getLogger(__name__)  # app.logger would add a handler of its own

BLUEPRINTS = (
    auth_blueprint,
    services_blueprint,
    users_blueprint,
    health_blueprint,
    system_blueprint,
)


def create_app(settings: str | type[BaseConfig] | None = None, **overrides: object) -> Flask:
    """Return the service as a Flask app.

    `settings` is a class of `project.config` or its import path; by default APP_SETTINGS names it.
    `overrides` are single settings. Raises ConfigError, which lists every invalid setting.
    """
    configuration = config.load(settings, overrides)
    app = UsersService(__name__, static_folder=None, instance_path=configuration["INSTANCE_PATH"])
    app.config.from_mapping(configuration)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has them
    app.json.compact = True  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # a redirect would be a response without the envelope
    logs.init_app(app)
    middleware.register_hooks(app)
    error_handler.init_app(app)
    _init_components(app)
    _register_routes(app)
    middleware.wrap(app)
    _warn_of_settings(app)
    return app


def _init_components(app: Flask) -> None:
    autocommit.init_app(app)
    bcrypt.init_app(app)
    migrate.init_app(app, db)
    client_address.init_app(app)
    last_seen.init_app(app)
    source.init_app(app)
    shared_secret.init_app(app)
    concurrency.init_app(app)
    pool = HashingPool(
        app.config["HASH_THREADS"],
        app.config["HASH_QUEUE"],
        app.config["HASH_NICENESS"],
        while_waiting=get_component(ConcurrencyLimiter, app).released,
    )
    add_component(app, pool)
    openapi.init_app(app)


def _register_routes(app: Flask) -> None:
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    docs.init_app(app)
    features.init_app(app)
    metrics.init_app(app)
    delivery.init_app(app)


def _warn_of_settings(app: Flask) -> None:
    if app.config["STRICT"] and not app.config["THROTTLE_ENABLED"]:
        logger.warning("THROTTLE_ENABLED is off: rate limiting is disabled")
    for name, nearest in app.config["MISSPELT_SETTINGS"].items():
        logger.warning("%s is not a setting and is ignored; did you mean %s?", name, nearest)
