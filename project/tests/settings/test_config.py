"""The configuration: classes, environment variables and validation."""

import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import TestCase, mock

import flask_migrate
import pytest
from werkzeug.datastructures import Headers

from project import config, create_app, instance
from project.config import ConfigError
from project.http import cors
from project.settings import SETTINGS

GOOD_SECRET = "f3b1c4d5e6a798071625344352617081"
DEVELOPMENT = "project.config.DevelopmentConfig"
TESTING = "project.config.TestingConfig"
STAGING = "project.config.StagingConfig"
PRODUCTION = "project.config.ProductionConfig"


UNREADABLE_VALUES = (
    ("TOKEN_ALGORITHM", "none", "must be one of HS256, ES256, EdDSA"),
    ("TOKEN_ALGORITHM", "RS256", "must be one of HS256, ES256, EdDSA"),
    ("KEY_PUBLICATION_LEAD", "9s", "must be 10s or longer"),
    ("TOKEN_EXPIRATION_DAYS", "-1", "whole number"),
    ("TOKEN_EXPIRATION_DAYS", "1.5", "whole number"),
    ("TOKEN_EXPIRATION_DAYS", "٣", "whole number"),
    ("TOKEN_EXPIRATION_SECONDS", "1e3", "whole number"),
    ("BCRYPT_LOG_ROUNDS", "3", "from 4 to 20"),
    ("BCRYPT_LOG_ROUNDS", "31", "from 4 to 20"),
    ("USERS_PUBLIC", "maybe", "true or false"),
    ("DATABASE_URL", "nonsense", "is not a URL"),
    ("DATABASE_URL", "postgresql://u:p@h:port/x", "is not a URL"),
    ("DATABASE_URL", "postgresql://u:p@h", "names no database"),
    ("DATABASE_URL", "mysql://u:p@h/x", "must start with postgresql://"),
    ("DATABASE_URL", "sqlite://", "names no file"),
    ("DATABASE_URL", "sqlite:///file::memory:?uri=true", "names no file"),
    ("DATABASE_URL", "sqlite://host/x", "has more than a path"),
    ("DATABASE_URL", "sqlite:////x?timeout=abc", "has more than a path"),
    ("DATABASE_URL", "postgresql://u:p@ss@h/x", "not written as %40"),
    ("DATABASE_URL", "postgresql://u:p@h/x?port=abc", "does not know"),
    ("DATABASE_URL", "postgresql://u:p@h/x?foo=x", "does not know"),
    ("DATABASE_URL", "postgresql://u:p%00@h/x", "contains a NUL"),
    ("SECRET_KEY", "\udcff" * 32, "is not UTF-8"),
    ("INSTANCE_PATH", "/tmp/\udcff", "is not UTF-8"),
    ("DATABASE_URL", "sqlite:///:memory:", "names no file"),
    ("DATABASE_TEST_URL", "http://x/y", "must start with"),
    ("SESSION_LIFETIME", "90", "must be a duration like 90d"),
    ("SESSION_IDLE_LIFETIME", "0d", "must be a duration like 90d"),
    ("DELETION_GRACE", "-1", "must be a duration like 90d, 12h, 30m or 45s, or 0"),
    ("REAUTHENTICATION_WINDOW", "0", "must be a duration like 90d, 12h, 30m or 45s"),
    ("SESSION_LIFETIME", "29d", "is shorter than the lifetime of an access token"),
    ("SERVICE_TOKENS", "a token", "must list SHA-256 digests"),
    ("CORS_ORIGINS", " , ", "must list origins"),
    ("CORS_ORIGINS", "https://*.example.com", "must list origins"),
    ("CORS_ORIGINS", "https://a.example/", "must list origins"),
    ("CORS_ORIGINS", "localhost:3000", "must list origins"),
    ("TRUSTED_PROXIES", "nginx", "must list networks like 10.0.0.0/8, .*: 'nginx' is"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,*", "must list networks like .*: '\\*' is neither"),
    ("TRUSTED_PROXIES", "10.0.0.0/33", "must list networks"),
    ("TRUSTED_PROXIES", "10.0.0.1 10.0.0.2", "must list networks .* separated by commas"),
    ("TRUSTED_PROXIES", "10.1.2.3/8", "write 10.0.0.0/8 for the network, or 10.1.2.3 for"),
    ("TRUSTED_PROXIES", "fd00::1/64", "write fd00::/64 for the network"),
    ("TRUSTED_PROXIES", "0.0.0.0/0", "matches every address"),
    ("TRUSTED_PROXIES", "::/0", "matches every address"),
    ("TRUSTED_PROXIES", "::ffff:0.0.0.0/96", "matches every address"),
)
"""Name and value of a setting, and a pattern of the error that rejects it."""


@pytest.mark.any_database
class ConfigCase(TestCase):
    """Loads configurations from given environments."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "instance"

    def load(self, settings: str | None = None, **environment: str) -> dict[str, Any]:
        """Load a configuration from this environment alone."""
        environment.setdefault("INSTANCE_PATH", str(self.folder))
        return config.load(settings, environment=environment)

    def errors(self, settings: str | None = None, **environment: str) -> list[str]:
        """Return the errors of this environment."""
        with self.assertRaises(ConfigError) as caught:
            self.load(settings, **environment)
        return caught.exception.errors


class TestDevelopmentConfig(ConfigCase):
    """Development, which needs no settings."""

    def test_development_is_the_default(self) -> None:
        self.assertEqual(self.load(), self.load(DEVELOPMENT))
        self.assertEqual(self.load(), self.load(APP_SETTINGS=DEVELOPMENT))

    def test_defaults(self) -> None:
        loaded = self.load()
        self.assertTrue(loaded["DEBUG"])
        self.assertEqual(loaded["BCRYPT_LOG_ROUNDS"], 4)
        self.assertEqual(loaded["TOKEN_LIFETIME"], timedelta(days=30))
        self.assertEqual(loaded["CORS_ORIGINS"], ["*"])
        self.assertFalse(loaded["USERS_PUBLIC"])
        self.assertEqual(
            str(loaded["SQLALCHEMY_DATABASE_URI"]), f"sqlite:///{self.folder / 'users.sqlite'}"
        )

    def test_the_secret_is_generated_once_and_readable_by_its_owner_only(self) -> None:
        secrets = {self.load()["SECRET_KEY"] for _ in range(2)}
        self.assertEqual(len(secrets), 1)
        self.assertGreaterEqual(len(secrets.pop()), 32)
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        files = list(self.folder.iterdir())
        self.assertEqual({file.name for file in files}, {"secret_key", "users.sqlite"})
        self.assertEqual({stat.S_IMODE(file.stat().st_mode) for file in files}, {0o600})

    def test_concurrent_processes_share_the_secret(self) -> None:
        with ThreadPoolExecutor(16) as crowd:
            secrets = set(crowd.map(lambda _: instance.ensure_secret(self.folder), range(64)))
        self.assertEqual(len(secrets), 1)

    def test_a_damaged_secret_is_rejected(self) -> None:
        self.folder.mkdir()
        for content in (b"", b"short", b"\xff" * 40):
            (self.folder / "secret_key").write_bytes(content)
            (error,) = self.errors()
            self.assertRegex(error, "^SECRET_KEY: .*does not contain 32 ASCII characters: .*delete")

    def test_an_instance_folder_may_have_any_name(self) -> None:
        folder = self.folder.with_name("a folder?x=1#y%20z")
        app = create_app(DEVELOPMENT, INSTANCE_PATH=str(folder))
        with app.app_context():
            flask_migrate.upgrade()
        self.assertEqual(app.test_client().get("/users/1").status_code, 401)
        self.assertGreater((folder / "users.sqlite").stat().st_size, 0)

    def test_an_unwritable_instance_folder_is_rejected(self) -> None:
        self.folder.write_text("a file where the folder should be")
        for environment in ({}, {"SECRET_KEY": GOOD_SECRET}):
            (error,) = self.errors(**environment)
            self.assertRegex(
                error, f"^INSTANCE_PATH: cannot write to {self.folder} .*set INSTANCE_PATH"
            )

    def test_nothing_is_written_if_everything_is_set(self) -> None:
        self.load(SECRET_KEY=GOOD_SECRET, DATABASE_URL="sqlite:////tmp/elsewhere.sqlite")
        self.assertFalse(self.folder.exists())


class TestTestingConfig(ConfigCase):
    """Testing, which has a separate database and a short token lifetime."""

    def test_defaults(self) -> None:
        loaded = self.load(TESTING, DATABASE_URL="sqlite:////tmp/never.sqlite")
        self.assertTrue(loaded["TESTING"])
        self.assertEqual(loaded["BCRYPT_LOG_ROUNDS"], 4)
        self.assertEqual(loaded["TOKEN_EXPIRATION_DAYS"], 0)
        self.assertEqual(loaded["TOKEN_EXPIRATION_SECONDS"], 3)
        self.assertEqual(
            str(loaded["SQLALCHEMY_DATABASE_URI"]),
            f"sqlite:///{self.folder / 'users_test.sqlite'}",
        )

    def test_the_test_database_can_be_set(self) -> None:
        loaded = self.load(TESTING, DATABASE_TEST_URL="postgres://u:p@h/users_test")
        url = loaded["SQLALCHEMY_DATABASE_URI"]
        self.assertEqual(
            url.render_as_string(hide_password=False), "postgresql+psycopg2://u:p@h/users_test"
        )


class TestProductionConfig(ConfigCase):
    """Production, which does not start with unsafe settings."""

    def load_valid(self, settings: str = PRODUCTION, **environment: str) -> dict[str, Any]:
        """Load a valid configuration with these changes."""
        valid = {"SECRET_KEY": GOOD_SECRET, "DATABASE_URL": "postgresql://u:p@h/users_prod"}
        return self.load(settings, **(valid | environment))

    def test_defaults(self) -> None:
        loaded = self.load_valid()
        self.assertFalse(loaded["DEBUG"] or loaded["TESTING"])
        self.assertEqual(loaded["BCRYPT_LOG_ROUNDS"], 12)
        self.assertEqual(loaded["TOKEN_LIFETIME"], timedelta(days=30))
        self.assertTrue(loaded["BCRYPT_HANDLE_LONG_PASSWORDS"])

    def test_all_errors_are_reported_at_once(self) -> None:
        for settings in (PRODUCTION, STAGING):
            errors = self.errors(settings, BCRYPT_LOG_ROUNDS="x")
            self.assertEqual(len(errors), 3)
            self.assertRegex(errors[0], "^DATABASE_URL is not set: set it to postgresql://")
            self.assertRegex(errors[1], "^SECRET_KEY is not set: set it to the output of: python")
            self.assertRegex(errors[2], "^BCRYPT_LOG_ROUNDS must be a whole number from 4 to 20")
            self.assertRegex(
                self.errors(settings, DATABASE_URL="x")[0], "^DATABASE_URL is not a URL"
            )

    def test_guessable_secrets_are_rejected(self) -> None:
        for secret, why in (
            ("", "not set"),
            (GOOD_SECRET[:-1], "shorter than 32 bytes"),
            ("my_precious", "shorter"),
            ("my_precious_secret_key_for_users_1", "placeholder"),
            ("changemechangemechangemechangeme", "placeholder"),
            ("a" * 64, "repeats"),
            ("0123" * 16, "repeats"),
        ):
            with self.subTest(secret), self.assertRaisesRegex(ConfigError, why):
                self.load_valid(SECRET_KEY=secret)

    def test_guessable_previous_secrets_are_rejected(self) -> None:
        older = GOOD_SECRET[::-1]
        loaded = self.load_valid(SECRET_KEY_FALLBACKS=f"{older}, {GOOD_SECRET}")
        self.assertEqual(loaded["SECRET_KEY_FALLBACKS"], [older, GOOD_SECRET])
        with self.assertRaisesRegex(
            ConfigError, "^SECRET_KEY_FALLBACKS contains a secret that is shorter"
        ):
            self.load_valid(SECRET_KEY_FALLBACKS=f"{older},short")

    def test_production_writes_nothing_to_the_instance_folder(self) -> None:
        self.load_valid()
        self.assertFalse(self.folder.exists())


class TestSettings(ConfigCase):
    """Parsing and validation of values."""

    def test_an_unknown_class_is_rejected_with_a_list_of_the_known_ones(self) -> None:
        for name in ("nonsense", "project.config.Nonsense", "project.config.BaseConfig", "os.path"):
            (error,) = self.errors(APP_SETTINGS=name)
            self.assertRegex(error, "^APP_SETTINGS is unknown: .*project.config.ProductionConfig")

    def test_a_class_can_be_passed_as_an_object(self) -> None:
        environment = {"INSTANCE_PATH": str(self.folder)}
        loaded = config.load(config.TestingConfig, environment=environment)
        self.assertTrue(loaded["TESTING"])

    def test_invalid_values_are_rejected(self) -> None:
        for name, value, remedy in UNREADABLE_VALUES:
            with self.subTest(ascii(f"{name}={value}")):
                (error,) = self.errors(**{name: value})
                self.assertRegex(error, f"^{name} .*{remedy}")

    def test_an_error_does_not_contain_the_password(self) -> None:
        for url in ("mysql://u:hunter2@h/x", "hunter2", "postgresql://u:hunter2@h:port/x"):
            self.assertNotIn("hunter2", "".join(self.errors(DATABASE_URL=url)))

    def test_an_at_sign_in_the_password_is_rejected_without_printing_any_part_of_it(self) -> None:
        for between in (
            "@",
            "@/",
            "/@",
            "@/x?",
            "@x/y?a=",
            "@?",
            "@#",
            "#@",
            "@:1/",
            "@[::1]/",
            "@x:",
        ):
            url = f"postgresql://u:hunter{between}secret@db.example.com:5432/users"
            with self.subTest(url):
                (error,) = self.errors(DATABASE_URL=url)
                self.assertRegex(error, "^DATABASE_URL ")
                for part in ("hunter", "secret"):
                    self.assertNotIn(part, error)

    def test_other_signs_in_the_password_are_accepted(self) -> None:
        for password in ("p#w", "p/w", "p?w", "p:w", "p%40w", "p[w"):
            url = self.load(DATABASE_URL=f"postgresql://u:{password}@h:5432/x?sslmode=disable")
            found = url["SQLALCHEMY_DATABASE_URI"]
            self.assertEqual((found.host, found.database), ("h", "x"))
            self.assertEqual(found.password, password.replace("%40", "@"))
        named = self.load(DATABASE_URL="postgresql://u@server:p@h/x")["SQLALCHEMY_DATABASE_URI"]
        self.assertEqual((named.username, named.password), ("u@server", "p"))

    def test_a_token_lifetime_of_zero_is_rejected(self) -> None:
        (error,) = self.errors(TOKEN_EXPIRATION_DAYS="0")
        self.assertRegex(error, "^TOKEN_EXPIRATION_DAYS and TOKEN_EXPIRATION_SECONDS are both 0")

    def test_valid_values_are_parsed(self) -> None:
        loaded = self.load(
            TOKEN_EXPIRATION_DAYS="1",
            TOKEN_EXPIRATION_SECONDS="30",
            SESSION_LIFETIME="99999999d",
            SESSION_IDLE_LIFETIME="90m",
            USERS_PUBLIC="TRUE",
            CORS_ORIGINS="https://a.example, https://b.example,",
            TRUSTED_PROXIES="10.0.0.0/8, 192.0.2.1,fd00::/8, ::ffff:172.16.0.0/108,",
            BCRYPT_LOG_ROUNDS="5",
        )
        self.assertEqual(loaded["TOKEN_LIFETIME"], timedelta(days=1, seconds=30))
        self.assertEqual(loaded["SESSION_LIFETIME"], timedelta(days=36500))
        self.assertEqual(loaded["SESSION_IDLE_LIFETIME"], timedelta(minutes=90))
        self.assertTrue(loaded["USERS_PUBLIC"])
        self.assertEqual(loaded["CORS_ORIGINS"], ["https://a.example", "https://b.example"])
        self.assertEqual(
            [str(network) for network in loaded["TRUSTED_PROXIES"]],
            ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8", "172.16.0.0/12"],
        )
        self.assertEqual(loaded["BCRYPT_LOG_ROUNDS"], 5)

    def test_a_relative_path_becomes_absolute(self) -> None:
        url = self.load(DATABASE_URL="sqlite:///here.sqlite")["SQLALCHEMY_DATABASE_URI"]
        self.assertEqual(str(url), f"sqlite:///{Path('here.sqlite').absolute()}")

    def test_an_empty_value_means_the_default(self) -> None:
        empty = {setting.name: "" for setting in SETTINGS} | {"INSTANCE_PATH": str(self.folder)}
        self.assertEqual(self.load(**empty, APP_SETTINGS=""), self.load())

    def test_every_setting_has_a_description(self) -> None:
        for setting in SETTINGS:
            self.assertRegex(setting.description, r"^[A-Z].*\.$", setting.name)

    def test_cors_allows_the_configured_origins_only(self) -> None:
        app = create_app(
            DEVELOPMENT,
            INSTANCE_PATH=str(self.folder),
            CORS_ORIGINS="https://a.example,http://[::1]:3000",
        )
        for origin, allowed in (
            ("https://a.example", True),
            ("http://[::1]:3000", True),
            ("https://b.example", False),
            ("https://a.example.evil.net", False),
            ("https://aXexample", False),
            ("http://a.example", False),
        ):
            response = app.test_client().get("/ping", headers={"Origin": origin})
            given = response.headers.get("Access-Control-Allow-Origin")
            self.assertEqual(given, origin if allowed else None)
            self.assertEqual(response.headers.getlist("Vary"), ["Origin"])
        self.assertEqual(app.test_client().get("/ping").headers.getlist("Vary"), ["Origin"])

    def test_every_origin_is_allowed_by_default(self) -> None:
        app = create_app(DEVELOPMENT, INSTANCE_PATH=str(self.folder))
        response = app.test_client().options(
            "/auth/login",
            headers={
                "Origin": "https://any.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-more",
            },
        )
        self.assertEqual(response.headers["Access-Control-Allow-Origin"], "*")
        allowed = response.headers["Access-Control-Allow-Headers"]
        self.assertEqual(allowed, "authorization, content-type, x-more")
        self.assertIn("POST", response.headers["Access-Control-Allow-Methods"])
        self.assertNotIn("Access-Control-Allow-Credentials", response.headers)
        self.assertEqual(response.json and response.json["status"], "success")

    def test_the_fields_for_every_origin_equal_those_of_flask_cors(self) -> None:
        own = create_app(DEVELOPMENT, INSTANCE_PATH=str(self.folder)).test_client()
        with mock.patch.object(cors, "allow_every_origin", lambda response: response):
            plain = create_app(DEVELOPMENT, INSTANCE_PATH=str(self.folder)).test_client()
        gets = [("GET", path) for path in ("/ping", "/nowhere", "/metrics", "/auth/status")]
        for method, path in (
            *gets,
            ("POST", "/auth/login"),
            ("PUT", "/ping"),
            ("OPTIONS", "/ping"),
        ):
            for sent in ({}, {"Origin": "https://any.example"}):
                with self.subTest(method=method, path=path, sent=sent):
                    actual = own.open(path, method=method, headers=sent).headers
                    expected = plain.open(path, method=method, headers=sent).headers
                    self.assertEqual(_about_origins(actual), _about_origins(expected))


def _about_origins(headers: Headers) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in headers if name.startswith(("Access", "Vary")))


class TestLimits(ConfigCase):
    """Settings of the throttle and of the hashing threads."""

    def test_production_warns_if_the_throttle_is_off(self) -> None:
        production = {"SECRET_KEY": GOOD_SECRET, "DATABASE_URL": "sqlite:////tmp/never.sqlite"}
        with self.assertLogs("project", "WARNING") as logged:
            create_app(PRODUCTION, **production, THROTTLE_ENABLED=False)
        self.assertIn("THROTTLE_ENABLED is off", logged.output[0])
        with self.assertNoLogs("project", "WARNING"):
            create_app(PRODUCTION, **production)
            create_app(DEVELOPMENT, INSTANCE_PATH=str(self.folder), THROTTLE_ENABLED=False)

    def test_workers_share_the_cores(self) -> None:
        for workers, cores, threads in ((1, 4, "4"), (2, 4, "2"), (3, 4, "1"), (8, 4, "1")):
            with (
                mock.patch.dict("os.environ", clear=True),
                mock.patch("project.config.available_cores", return_value=cores),
            ):
                config.share_cores(workers)
                self.assertEqual(os.environ["HASH_THREADS"], threads)

    def test_a_set_number_of_threads_is_unchanged(self) -> None:
        with mock.patch.dict("os.environ", HASH_THREADS="7"):
            config.share_cores(2)
            self.assertEqual(os.environ["HASH_THREADS"], "7")

    def test_contradictory_backoffs_are_rejected(self) -> None:
        for backoffs in (
            {"THROTTLE_INITIAL_BACKOFF": "2h"},
            {"THROTTLE_MAX_BACKOFF": "25h"},
            {"THROTTLE_INITIAL_BACKOFF": "2d", "THROTTLE_MAX_BACKOFF": "2d"},
        ):
            (error,) = self.errors(**backoffs)
            self.assertRegex(error, "^THROTTLE_MAX_BACKOFF must be at least")

    def test_malformed_limits_are_rejected(self) -> None:
        for limit in ("5", "0/15m", "5/15", "5/0m", "-1/1d", "5/1d/2", "many/1d"):
            (error,) = self.errors(THROTTLE_ACCOUNT=limit)
            self.assertRegex(error, "^THROTTLE_ACCOUNT must be a number of attempts and a window")
        self.assertEqual(str(self.load(THROTTLE_ACCOUNT="7/90s")["THROTTLE_ACCOUNT"]), "7/90s")
