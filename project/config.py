"""The configuration: the classes, how it is loaded and what is checked at the start.

`APP_SETTINGS` chooses a class, which changes some defaults of the settings; the environment has the
last word. `load()` answers the whole configuration or raises ConfigError with every fault at once.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from project import instance
from project.database.connections import engine_options
from project.instance import DamagedSecret
from project.security.secret_strength import weakness
from project.serving.cores import available_cores
from project.settings import SETTINGS, Setting, mail_parsers
from project.settings import environment as surroundings

MIN_LEAD = timedelta(seconds=10)
MAX_WAIT = timedelta(days=1)


class ConfigError(Exception):
    """The configuration cannot be used; one line a fault, each with its setting and its remedy."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class BaseConfig:
    """The settings' own defaults, and what no installation changes."""

    DEBUG = False
    TESTING = False
    STRICT = False
    DATABASE_SETTING = "DATABASE_URL"
    DATABASE_FILE = "users.sqlite"
    BCRYPT_HANDLE_LONG_PASSWORDS = True


for _setting in SETTINGS:
    setattr(BaseConfig, _setting.name, _setting.default)


class DevelopmentConfig(BaseConfig):
    """Starts with no setting at all."""

    DEBUG = True
    BCRYPT_LOG_ROUNDS = 4
    MAIL_URL = mail_parsers.FOLDER
    MAIL_FROM = mail_parsers.mailbox("users@localhost")
    FRONTEND_URL = "http://localhost:3000"


class TestingConfig(BaseConfig):
    """A database of its own and tokens that soon expire."""

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
    """Refuses to start with a default where a default is a danger."""

    STRICT = True
    PASSWORD_POLICY = True
    DOCS_ENABLED = False


class StagingConfig(ProductionConfig):
    """Production, by another name."""


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

    `settings` is a class or its path; without it the environment's APP_SETTINGS chooses.
    Raises ConfigError with every fault.
    """
    environment = os.environ if environment is None else environment
    config_class = _config_class(settings or environment.get("APP_SETTINGS") or DEFAULT_CONFIG)
    config = {name: getattr(config_class, name) for name in dir(config_class) if name.isupper()}
    config["APP_SETTINGS"] = config_class.__name__
    values, unreadable = surroundings.with_files(environment)
    config["MISSPELT_SETTINGS"] = surroundings.misspelt(environment)
    unread = unreadable | _take(config, values) | _take(config, overrides or {})
    # Of a setting that could not be read, that alone is said.
    faults = [*(check(config) | unread).values()] or _derive(config)
    if faults:
        raise ConfigError(faults)
    return config


def is_strict(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether APP_SETTINGS chooses production or staging; for servers, before they load it."""
    environment = os.environ if environment is None else environment
    chosen = CONFIGS.get(environment.get("APP_SETTINGS") or DEFAULT_CONFIG, ProductionConfig)
    return chosen.STRICT


def share_cores(workers: int) -> None:
    """Give each worker that this process will start its part of the cores to hash on."""
    os.environ.setdefault("HASH_THREADS", str(max(1, available_cores() // workers)))


def _config_class(settings: str | type[BaseConfig]) -> type[BaseConfig]:
    if isinstance(settings, type):
        return settings
    try:
        return CONFIGS[settings]
    except KeyError:
        known = ", ".join(CONFIGS)
        raise ConfigError([f"APP_SETTINGS is unknown: set it to one of {known}."]) from None


def _take(config: dict[str, Any], values: Mapping[str, object]) -> dict[str, str]:
    """Take values into the configuration; a text is read first, and an empty one says nothing.

    Returns the fault of each setting that cannot be read.
    """
    faults = {}
    for setting in SETTINGS:
        value = values.get(setting.name, "")
        if value == "":
            continue
        try:
            config[setting.name] = _read(setting, value)
        except ValueError as error:
            faults[setting.name] = f"{setting.name} {error}."
    return faults


def _read(setting: Setting, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    return setting.read(value)


def check(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with these settings: the fault of each, with its remedy."""
    faults = {}
    if not config["TOKEN_EXPIRATION_DAYS"] and not config["TOKEN_EXPIRATION_SECONDS"]:
        faults["TOKEN_EXPIRATION_DAYS"] = (
            "TOKEN_EXPIRATION_DAYS and TOKEN_EXPIRATION_SECONDS are both 0: set one of them, "
            "or tokens expire immediately."
        )
    if _token_lifetime(config) > config["SESSION_LIFETIME"]:
        faults["SESSION_LIFETIME"] = (
            "SESSION_LIFETIME is shorter than the life of a token: make it longer, or "
            "TOKEN_EXPIRATION_DAYS less."
        )
    if not config["THROTTLE_INITIAL_BACKOFF"] <= config["THROTTLE_MAX_BACKOFF"] <= MAX_WAIT:
        faults["THROTTLE_MAX_BACKOFF"] = (
            "THROTTLE_MAX_BACKOFF is shorter than THROTTLE_INITIAL_BACKOFF or longer than a day: "
            "set it between the two."
        )
    if config["KEY_PUBLICATION_LEAD"] < MIN_LEAD:
        faults["KEY_PUBLICATION_LEAD"] = (
            "KEY_PUBLICATION_LEAD is too short: make it 10s or longer, or a key would sign before "
            "every process can know it."
        )
    faults |= mail_parsers.check(config)
    return faults | (_check_strictly(config) if config["STRICT"] else {})


def _token_lifetime(config: Mapping[str, Any]) -> timedelta:
    days, seconds = config["TOKEN_EXPIRATION_DAYS"], config["TOKEN_EXPIRATION_SECONDS"]
    return timedelta(days=days, seconds=seconds)


def _check_strictly(config: Mapping[str, Any]) -> dict[str, str]:
    faults = {}
    if not config["DATABASE_URL"]:
        faults["DATABASE_URL"] = (
            "DATABASE_URL is not set: set it to postgresql://user:password@host:5432/name."
        )
    if found := weakness(config["SECRET_KEY"]):
        remedy = 'set it to the output of: python -c "import secrets; print(secrets.token_hex(32))"'
        faults["SECRET_KEY"] = f"SECRET_KEY {found}: {remedy}"
    for secret in config["SECRET_KEY_FALLBACKS"]:
        if found := weakness(secret):
            faults["SECRET_KEY_FALLBACKS"] = (
                f"SECRET_KEY_FALLBACKS: one of them {found}: leave it out."
            )
    return faults


def _derive(config: dict[str, Any]) -> list[str]:
    """Complete a sound configuration by what follows from it; returns what stands in the way."""
    config["TOKEN_LIFETIME"] = _token_lifetime(config)
    config["HASH_THREADS"] = config["HASH_THREADS"] or available_cores()
    folder = Path(config["INSTANCE_PATH"] or Path(__file__).parent.parent / "instance").absolute()
    config["INSTANCE_PATH"] = str(folder)
    try:
        config["SECRET_KEY"] = config["SECRET_KEY"] or instance.kept_secret(folder)
        url = config[config["DATABASE_SETTING"]]
        url = url or instance.kept_database(folder, config["DATABASE_FILE"])
    except DamagedSecret as error:
        return [f"SECRET_KEY: {error}: set SECRET_KEY, or remove the file to have a new one made."]
    except OSError as error:
        return [
            f"INSTANCE_PATH: cannot write to {folder} ({error.strerror}): make it writable, or set "
            "INSTANCE_PATH to a folder that is."
        ]
    config["SQLALCHEMY_DATABASE_URI"] = url
    config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url, config) | {"pool_pre_ping": True}
    return []
