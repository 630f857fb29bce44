"""The features of this installation, for front ends.

Also registers the mail routes if a mail transport is set up, and the mail folder in development.
"""

from importlib import import_module

from flask import Blueprint, Flask, current_app

from project import delivery
from project.api.schemas import FeaturesData, FeaturesResponse
from project.http.contract import responds

features_blueprint = Blueprint("features", __name__)


def init_app(app: Flask) -> None:
    """Register the mail routes that the settings enable; without mail, import none of them."""
    url = app.config["MAIL_URL"]
    if url.is_off:
        return
    is_on = {
        "mail": True,
        "mail.login_code": app.config["EMAIL_LOGIN"],
        "mail.invitations": app.config["REGISTRATION"] == "invited",
        "dev_mail": not url.is_smtp and not app.config["STRICT"],
    }
    for name in filter(is_on.get, is_on):
        module = import_module(f"project.api.{name}")
        app.register_blueprint(getattr(module, f"{name.rpartition('.')[2]}_blueprint"))


@features_blueprint.get("/auth/features")
@responds(FeaturesResponse)
def get_features() -> FeaturesResponse:
    """Return the features of this installation."""
    config = current_app.config
    has_mail = not config["MAIL_URL"].is_off
    return FeaturesResponse(
        data=FeaturesData(
            registration=config["REGISTRATION"],
            mail=has_mail,
            email_login=config["EMAIL_LOGIN"],
            languages=_languages() if has_mail else [],
            password_min_length=config["PASSWORD_MIN_LENGTH"] if config["PASSWORD_POLICY"] else 1,
        )
    )


def _languages() -> list[str]:
    """Return the languages of the mail templates; cached after the first call."""
    known = current_app.extensions
    if "mail_languages" not in known:
        renderer = delivery.module("rendering").Renderer(current_app.config)
        known["mail_languages"] = renderer.languages()
    languages: list[str] = known["mail_languages"]
    return languages
