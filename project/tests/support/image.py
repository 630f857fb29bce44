"""What the image understands, for the files that run it."""

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
"""The settings, and what the entrypoint reads."""
REQUIRED = {"DATABASE_URL", "SECRET_KEY"}
"""Without which production does not start."""
CONNECTIONS_A_WORKER = ENGINES * MAX_CONCURRENT_REQUESTS
RESERVED = 3
"""Connections that PostgreSQL keeps for its superuser (`superuser_reserved_connections`)."""


def seconds_to_end(environment: dict[str, object]) -> int:
    """Return how many seconds a server takes to end at the most, with these settings."""
    drained = environment.get("DRAIN_SECONDS", DEFAULTS["DRAIN_SECONDS"])
    return int(str(drained)) + SHUTDOWN_GRACE


def paths() -> set[str]:
    """Return the rules of all routes."""
    app = databases.bare_app("sqlite:////tmp/never.sqlite")
    return {rule.rule for rule in app.url_map.iter_rules()}
