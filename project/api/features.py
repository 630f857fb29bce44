"""What a front end must know to draw its forms; and, for development, the mail folder.

Registers the routes that take mail where there is a transport.
"""

from importlib import import_module

from flask import Blueprint, Flask, current_app

from project import delivery
from project.api.schemas import FeaturesData, FeaturesResponse
from project.http.contract import responds

features_blueprint = Blueprint("features", __name__)


def init_app(app: Flask) -> None:
    """Serve what the settings of mail allow; without mail its modules are not even imported."""
    url = app.config["MAIL_URL"]
    if not url.is_off:
        app.register_blueprint(import_module("project.api.mail").mail_blueprint)
    if not url.is_off and not url.is_smtp and not app.config["STRICT"]:
        app.register_blueprint(import_module("project.api.dev_mail").dev_mail_blueprint)


@features_blueprint.get("/auth/features")
@responds(FeaturesResponse)
def get_features() -> FeaturesResponse:
    """Return what this installation offers."""
    config = current_app.config
    has_mail = not config["MAIL_URL"].is_off
    return FeaturesResponse(
        data=FeaturesData(
            mail=has_mail,
            languages=_languages() if has_mail else [],
            password_min_length=config["PASSWORD_MIN_LENGTH"] if config["PASSWORD_POLICY"] else 1,
        )
    )


def _languages() -> list[str]:
    """Return the languages of mail, which are looked up once."""
    known = current_app.extensions
    if "mail_languages" not in known:
        renderer = delivery.module("rendering").Renderer(current_app.config)
        known["mail_languages"] = renderer.languages()
    languages: list[str] = known["mail_languages"]
    return languages
