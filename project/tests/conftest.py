"""How pytest runs the suite: `pytest --database=sqlite` or `pytest --database=postgresql`."""

import os
from contextlib import ExitStack

import pytest

from project.settings import environment
from project.tests.support import databases, postgres

_resources = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the database."""
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")


def pytest_configure(config: pytest.Config) -> None:
    """Start the database's server, once a run, and take this machine's settings out of the way."""
    config.stash[_resources] = resources = ExitStack()
    given = environment.read_secret_files(os.environ)[0].get("DATABASE_TEST_URL")
    for name in environment.KNOWN_NAMES:
        os.environ.pop(name, None)
    is_worker = hasattr(config, "workerinput")
    if config.getoption("database") == "postgresql" and not is_worker:
        given = given or resources.enter_context(postgres.running()).url
        os.environ[databases.SERVER_VARIABLE] = given
    resources.push(databases.left_behind)  # goes before the server does


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    config.stash[_resources].close()


def pytest_report_header(config: pytest.Config) -> str:
    """Say loudly which database the suite runs on."""
    return f"DATABASE: {config.getoption('database').upper()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of the run on PostgreSQL what no database has a part in."""
    if config.getoption("database") == "postgresql":
        without = [item for item in items if item.get_closest_marker("any_database")]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
