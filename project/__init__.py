"""users: accounts and tokens for every other service of a product."""

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
from project.database import deadline, timeouts
from project.extensions import autocommit, bcrypt, db, end_transaction, migrate
from project.http import access_log, cors, error_handler, headers
from project.http.app import UsersService
from project.serving import concurrency, shared_secret
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
    access_log.init_app(app)
    _init_extensions(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    docs.init_app(app)
    features.init_app(app)
    if app.config["STRICT"] and not app.config["THROTTLE_ENABLED"]:
        logger.warning("THROTTLE_ENABLED is off: rate limiting is disabled")
    for name, nearest in app.config["MISSPELT_SETTINGS"].items():
        logger.warning("%s is no setting and is ignored; is %s meant?", name, nearest)
    return app


def _init_extensions(app: Flask) -> None:
    if longest := timeouts.of(app.config).request:
        deadline.init_app(app, longest.total_seconds())
    db.init_app(app)
    autocommit.init_app(app)
    app.teardown_request(end_transaction)
    bcrypt.init_app(app)
    migrate.init_app(app, db)
    cors.init_app(app)
    last_seen.init_app(app)
    source.init_app(app)
    shared_secret.init_app(app)
    error_handler.init_app(app)
    headers.init_app(app)
    concurrency.init_app(app)
    app.extensions["hashing_pool"] = HashingPool(
        app.config["HASH_THREADS"],
        app.config["HASH_QUEUE"],
        app.config["HASH_NICENESS"],
        while_waiting=app.extensions["places"].released,
    )
    metrics.init_app(app)
    delivery.init_app(app)
