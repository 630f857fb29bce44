"""Variables, routes and limits of the image, for tests of files that run it."""

import re

from project.commands.doctor.database_checks import ENGINES
from project.limits import MAX_CONCURRENT_REQUESTS, SHUTDOWN_GRACE
from project.settings import SETTINGS
from project.tests.support import databases
from project.tests.support.paths import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENTRYPOINT = (ROOT / "entrypoint.sh").read_text()
DEFAULTS = {setting.name: setting.default for setting in SETTINGS}
VARIABLES = {*DEFAULTS, "APP_SETTINGS", *re.findall(r"\$\{(\w+):-", ENTRYPOINT)}
"""The settings and the variables that the entrypoint reads."""
REQUIRED = {"DATABASE_URL", "SECRET_KEY"}
"""Settings without which production does not start."""
CONNECTIONS_A_WORKER = ENGINES * MAX_CONCURRENT_REQUESTS
RESERVED = 3
"""Connections that PostgreSQL reserves for superusers (`superuser_reserved_connections`)."""


def max_shutdown_seconds(environment: dict[str, object]) -> int:
    """Return the seconds that a server with these settings needs to shut down at most."""
    drained = environment.get("DRAIN_SECONDS", DEFAULTS["DRAIN_SECONDS"])
    return int(str(drained)) + SHUTDOWN_GRACE


def paths() -> set[str]:
    """Return the rules of all routes."""
    app = databases.bare_app("sqlite:////tmp/never.sqlite")
    return {rule.rule for rule in app.url_map.iter_rules()}
