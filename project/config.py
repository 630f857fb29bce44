"""The configuration classes, and the loading and checking of the configuration.

`APP_SETTINGS` names a class, which sets the defaults. Environment variables override them.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from project import instance
from project.database.connections import build_engine_options
from project.instance import DamagedSecret
from project.security.secret_strength import find_weakness
from project.serving.cores import available_cores
from project.settings import SETTINGS, Setting, mail_parsers
from project.settings.environment import find_misspelt, read_secret_files

MIN_PUBLICATION_LEAD = timedelta(seconds=10)
MAX_BACKOFF = timedelta(days=1)


class ConfigError(Exception):
    """The configuration is invalid; `errors` has one line for each setting, with the remedy."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class BaseConfig:
    """Hold the default of every setting, and constants that no environment variable changes."""

    DEBUG = False
    TESTING = False
    STRICT = False
    DATABASE_SETTING = "DATABASE_URL"
    DATABASE_FILE = "users.sqlite"
    BCRYPT_HANDLE_LONG_PASSWORDS = True


for _setting in SETTINGS:
    setattr(BaseConfig, _setting.name, _setting.default)


class DevelopmentConfig(BaseConfig):
    """Configure development; no setting is required."""

    DEBUG = True
    BCRYPT_LOG_ROUNDS = 4
    MAIL_URL = mail_parsers.FOLDER
    MAIL_FROM = mail_parsers.mailbox("users@localhost")
    FRONTEND_URL = "http://localhost:3000"


class TestingConfig(BaseConfig):
    """Configure tests: a separate database, and tokens that expire within seconds."""

    DEBUG = True
    TESTING = True
    DATABASE_SETTING = "DATABASE_TEST_URL"
    DATABASE_FILE = "users_test.sqlite"
    DRAIN_SECONDS = 0
    MAIL_URL = mail_parsers.FOLDER
    MAIL_FROM = mail_parsers.mailbox("users@localhost")
    FRONTEND_URL = "http://localhost:3000"
    BCRYPT_LOG_ROUNDS = 4
    TOKEN_EXPIRATION_DAYS = 0
    TOKEN_EXPIRATION_SECONDS = 3


class ProductionConfig(BaseConfig):
    """Configure production: a strong secret and a database URL are required."""

    STRICT = True
    PASSWORD_POLICY = True
    DOCS_ENABLED = False


class StagingConfig(ProductionConfig):
    """Configure staging, which equals production."""


CONFIGS: Mapping[str, type[BaseConfig]] = {
    f"project.config.{config.__name__}": config
    for config in (DevelopmentConfig, TestingConfig, StagingConfig, ProductionConfig)
}
DEFAULT_CONFIG = "project.config.DevelopmentConfig"


def load(
    settings: str | type[BaseConfig] | None = None,
    overrides: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the configuration: the class's defaults, then the environment, then the overrides.

    `settings` is a configuration class or its path, by default that of APP_SETTINGS. Raises
    ConfigError with all errors at once.
    """
    environment = os.environ if environment is None else environment
    config_class = _config_class(settings or environment.get("APP_SETTINGS") or DEFAULT_CONFIG)
    config = {name: getattr(config_class, name) for name in dir(config_class) if name.isupper()}
    config["APP_SETTINGS"] = config_class.__name__
    values, unreadable = read_secret_files(environment)
    config["MISSPELT_SETTINGS"] = find_misspelt(environment)
    invalid = unreadable | _apply(config, values) | _apply(config, overrides or {})
    # A value that cannot be parsed gets no second error for the default in its place.
    errors = [*(_check(config) | invalid).values()] or _derive(config)
    if errors:
        raise ConfigError(errors)
    return config


def is_strict(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether APP_SETTINGS names production or staging, without loading the configuration.

    An unknown class counts as production.
    """
    environment = os.environ if environment is None else environment
    chosen = CONFIGS.get(environment.get("APP_SETTINGS") or DEFAULT_CONFIG, ProductionConfig)
    return chosen.STRICT


def share_cores(workers: int) -> None:
    """Set HASH_THREADS, unless it is set, to the cores of each of this process's workers."""
    os.environ.setdefault("HASH_THREADS", str(max(1, available_cores() // workers)))


def _config_class(settings: str | type[BaseConfig]) -> type[BaseConfig]:
    if isinstance(settings, type):
        return settings
    try:
        return CONFIGS[settings]
    except KeyError:
        known = ", ".join(CONFIGS)
        raise ConfigError([f"APP_SETTINGS is unknown: set it to one of {known}."]) from None


def _apply(config: dict[str, Any], values: Mapping[str, object]) -> dict[str, str]:
    """Put values into the configuration, strings parsed and empty strings ignored.

    Returns the errors of values that cannot be parsed, by setting.
    """
    errors = {}
    for setting in SETTINGS:
        value = values.get(setting.name, "")
        if value == "":
            continue
        try:
            config[setting.name] = _parse(setting, value)
        except ValueError as error:
            errors[setting.name] = f"{setting.name} {error}."
    return errors


def _parse(setting: Setting, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8: set it to UTF-8 text") from None
    return setting.parse(value)


def _check(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of valid values that are wrong together, by setting."""
    errors = {}
    if not config["TOKEN_EXPIRATION_DAYS"] and not config["TOKEN_EXPIRATION_SECONDS"]:
        errors["TOKEN_EXPIRATION_DAYS"] = (
            "TOKEN_EXPIRATION_DAYS and TOKEN_EXPIRATION_SECONDS are both 0, so tokens would "
            "expire immediately: set one of them."
        )
    if _token_lifetime(config) > config["SESSION_LIFETIME"]:
        errors["SESSION_LIFETIME"] = (
            "SESSION_LIFETIME is shorter than the lifetime of an access token: increase it, or "
            "decrease TOKEN_EXPIRATION_DAYS."
        )
    if not config["THROTTLE_INITIAL_BACKOFF"] <= config["THROTTLE_MAX_BACKOFF"] <= MAX_BACKOFF:
        errors["THROTTLE_MAX_BACKOFF"] = (
            "THROTTLE_MAX_BACKOFF must be at least THROTTLE_INITIAL_BACKOFF and at most 1d."
        )
    if config["KEY_PUBLICATION_LEAD"] < MIN_PUBLICATION_LEAD:
        errors["KEY_PUBLICATION_LEAD"] = (
            "KEY_PUBLICATION_LEAD must be 10s or longer: a key must reach every process before "
            "it signs."
        )
    errors |= mail_parsers.check(config)
    return errors | (_check_strict(config) if config["STRICT"] else {})


def _token_lifetime(config: Mapping[str, Any]) -> timedelta:
    days, seconds = config["TOKEN_EXPIRATION_DAYS"], config["TOKEN_EXPIRATION_SECONDS"]
    return timedelta(days=days, seconds=seconds)


def _check_strict(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of what production and staging require, by setting."""
    errors = {}
    if not config["DATABASE_URL"]:
        errors["DATABASE_URL"] = (
            "DATABASE_URL is not set: set it to postgresql://user:password@host:5432/name."
        )
    if weakness := find_weakness(config["SECRET_KEY"]):
        remedy = 'set it to the output of: python -c "import secrets; print(secrets.token_hex(32))"'
        errors["SECRET_KEY"] = f"SECRET_KEY {weakness}: {remedy}"
    for secret in config["SECRET_KEY_FALLBACKS"]:
        if weakness := find_weakness(secret):
            errors["SECRET_KEY_FALLBACKS"] = (
                f"SECRET_KEY_FALLBACKS contains a secret that {weakness}: remove it."
            )
    return errors


def _derive(config: dict[str, Any]) -> list[str]:
    """Add the values that follow from the settings, and return the errors that prevent it."""
    config["TOKEN_LIFETIME"] = _token_lifetime(config)
    config["HASH_THREADS"] = config["HASH_THREADS"] or available_cores()
    folder = Path(config["INSTANCE_PATH"] or Path(__file__).parent.parent / "instance").absolute()
    config["INSTANCE_PATH"] = str(folder)
    try:
        config["SECRET_KEY"] = config["SECRET_KEY"] or instance.ensure_secret(folder)
        url = config[config["DATABASE_SETTING"]]
        url = url or instance.ensure_database(folder, config["DATABASE_FILE"])
    except DamagedSecret as error:
        return [f"SECRET_KEY: {error}: set SECRET_KEY, or delete the file to generate a new one."]
    except OSError as error:
        return [
            f"INSTANCE_PATH: cannot write to {folder} ({error.strerror}): make it writable, or set "
            "INSTANCE_PATH to a folder that is."
        ]
    config["SQLALCHEMY_DATABASE_URI"] = url
    config["SQLALCHEMY_ENGINE_OPTIONS"] = build_engine_options(url, config) | {
        "pool_pre_ping": True
    }
    return []
