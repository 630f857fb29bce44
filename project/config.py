"""The settings: one list that feeds the classes, the check at start and the README's table.

A setting is a name, a way to read it, a default and a sentence. `APP_SETTINGS` chooses a class,
which changes some defaults; the environment has the last word. `load()` answers the whole
configuration or raises ConfigError with every fault at once.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from project import instance
from project.database import engine_options
from project.database_url import database_url
from project.instance import SHORTEST_SECRET, DamagedSecret
from project.readers import (
    digests,
    duration,
    networks,
    one_of,
    origins,
    secrets,
    switch,
    text,
    whole,
)
from project.security import breaches
from project.security.keys import Algorithm

PLACEHOLDERS = (
    "change",
    "secret",
    "precious",
    "password",
    "example",
    "default",
    "insecure",
    "your",
)
FEWEST_DISTINCT_CHARACTERS = 8
SHORTEST_LEAD = timedelta(seconds=10)


class ConfigError(Exception):
    """The configuration cannot be used; one line a fault, each with its setting and its remedy."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Setting:
    """A name, a way to read it from the environment, a default and a sentence."""

    name: str
    read: Callable[[str], object]
    default: object
    sentence: str


SETTINGS = (
    Setting("DATABASE_URL", database_url, None,
        "The database: `postgresql://…` or `sqlite:///…`. Without one: `users.sqlite` in the "
        "instance folder; production and staging require it."),
    Setting("DATABASE_TEST_URL", database_url, None,
        "The database of `TestingConfig`, and the server that the test suite uses instead of "
        "starting one of its own."),
    Setting("SECRET_KEY", text, None,
        "Signs the tokens; at least 32 random bytes. Without one it is made once and kept in the "
        "instance folder with mode 600; production and staging require it."),
    Setting("SECRET_KEY_FALLBACKS", secrets, [],
        "Secrets of before, separated by commas: they sign nothing, and tokens that they signed "
        "stay good."),
    Setting("TOKEN_ALGORITHM", one_of(*Algorithm), Algorithm.HS256,
        "How tokens are signed: `HS256` by the secret; `ES256` or `EdDSA` by a key pair of the "
        "database, whose public part `/.well-known/jwks.json` shows."),
    Setting("KEY_ROTATION_DAYS", whole(0, 3650), 90,
        "After how many days a signing key gets a successor by itself; 0 is never."),
    Setting("KEY_PUBLICATION_LEAD", duration, timedelta(minutes=10),
        "How long a key is published before it signs; twice as long as verifiers are told to keep "
        "what is published."),
    Setting("INSTANCE_PATH", text, None,
        "The folder for what belongs to this installation alone. Without one: `instance/` beside "
        "`project/`."),
    Setting("TOKEN_EXPIRATION_DAYS", whole(0, 3650), 30,
        "How long a token lives: days, to which the seconds are added."),
    Setting("TOKEN_EXPIRATION_SECONDS", whole(0, 86400), 0,
        "How long a token lives: seconds, added to the days."),
    Setting("SESSION_LIFETIME", duration, timedelta(days=365),
        "How long a session can be kept open by refreshing, like `90d` or `12h`."),
    Setting("SESSION_IDLE_LIFETIME", duration, timedelta(days=60),
        "How long a session that is not refreshed stays open: the life of a refresh token."),
    Setting("MAX_SESSIONS_PER_USER", whole(1, 10_000), 100,
        "How many sessions a user may have open; one more ends the oldest."),
    Setting("BCRYPT_LOG_ROUNDS", whole(4, 20), 12,
        "The cost of a password hash; one more doubles the time."),
    Setting("PASSWORD_POLICY", switch, False,
        "Whether a new password that is easily guessed is refused; see docs/passwords.md."),
    Setting("PASSWORD_MIN_LENGTH", whole(8, 64), 8,
        "How many characters a new password needs under the policy; NIST demands 15 where the "
        "password is the only factor."),
    Setting("BREACHED_PASSWORDS_FILE", breaches.searchable, None,
        "A file of the Have I Been Pwned downloader; the policy refuses the passwords in it."),
    Setting("SERVICE_NAME", text, "users",
        "What the product calls itself; the policy refuses it as a password."),
    Setting("SERVICE_TOKENS", digests, [],
        "The SHA-256 of the tokens by which other services may introspect, separated by commas; "
        "`make_service_token` makes them."),
    Setting("USERS_PUBLIC", switch, False,
        "Whether everybody may read `/users`, e-mail addresses included."),
    Setting("CORS_ORIGINS", origins, ["*"],
        "The origins whose pages may call the service, separated by commas; no cookie is used."),
    Setting("CLIENT_TIMEOUT_SECONDS", whole(1, 60), 15,
        "How long a client may take to send a request's header fields, again for the rest of it, "
        "and again to read the answer; then its connection is ended."),
    Setting("TRUSTED_PROXIES", networks, [],
        "The networks, or single addresses, of the reverse proxies whose `X-Forwarded-For` tells "
        "the client's address, separated by commas."),
)  # fmt: skip


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


class TestingConfig(BaseConfig):
    """A database of its own and tokens that soon expire."""

    DEBUG = True
    TESTING = True
    DATABASE_SETTING = "DATABASE_TEST_URL"
    DATABASE_FILE = "users_test.sqlite"
    BCRYPT_LOG_ROUNDS = 4
    TOKEN_EXPIRATION_DAYS = 0
    TOKEN_EXPIRATION_SECONDS = 3


class ProductionConfig(BaseConfig):
    """Refuses to start with a default where a default is a danger."""

    STRICT = True
    PASSWORD_POLICY = True


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
    unread = _take(config, environment) | _take(config, overrides or {})
    # Of a setting that could not be read, that alone is said.
    faults = [*(check(config) | unread).values()] or _derive(config)
    if faults:
        raise ConfigError(faults)
    return config


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
            "or every token is born expired."
        )
    if _token_lifetime(config) > config["SESSION_LIFETIME"]:
        faults["SESSION_LIFETIME"] = (
            "SESSION_LIFETIME is shorter than the life of a token: make it longer, or "
            "TOKEN_EXPIRATION_DAYS less."
        )
    if config["KEY_PUBLICATION_LEAD"] < SHORTEST_LEAD:
        faults["KEY_PUBLICATION_LEAD"] = (
            "KEY_PUBLICATION_LEAD is too short: make it 10s or longer, or a key would sign before "
            "every process can know it."
        )
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
    if weakness := _weakness(config["SECRET_KEY"]):
        remedy = 'set it to the output of: python -c "import secrets; print(secrets.token_hex(32))"'
        faults["SECRET_KEY"] = f"SECRET_KEY {weakness}: {remedy}"
    for secret in config["SECRET_KEY_FALLBACKS"]:
        if weakness := _weakness(secret):
            faults["SECRET_KEY_FALLBACKS"] = (
                f"SECRET_KEY_FALLBACKS: one of them {weakness}: leave it out."
            )
    return faults


def _weakness(secret: str | None) -> str | None:
    """Return what makes this secret guessable."""
    if not secret:
        return "is not set"
    if len(secret.encode()) < SHORTEST_SECRET:
        return f"is shorter than {SHORTEST_SECRET} bytes"
    if any(word in secret.lower() for word in PLACEHOLDERS):
        return "looks like a placeholder that somebody published"
    if len(set(secret)) < FEWEST_DISTINCT_CHARACTERS:
        return "repeats a few characters"
    return None


def _derive(config: dict[str, Any]) -> list[str]:
    """Complete a sound configuration by what follows from it; returns what stands in the way."""
    config["TOKEN_LIFETIME"] = _token_lifetime(config)
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
    config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url) | {"pool_pre_ping": True}
    return []
