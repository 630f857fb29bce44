"""Options of pytest: `pytest --database=sqlite` or `pytest --database=postgresql`."""

import os
import sys
from contextlib import ExitStack

import pytest

from project.settings import environment
from project.tests.support import databases, postgres

_resources = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option --database."""
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")


def pytest_configure(config: pytest.Config) -> None:
    """Start one database server for the run, and unset the settings of this machine."""
    config.stash[_resources] = resources = ExitStack()
    given = environment.read_secret_files(os.environ)[0].get("DATABASE_TEST_URL")
    for name in environment.KNOWN_NAMES:
        os.environ.pop(name, None)
    # Every server and command of the suite would compile the project again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    is_worker = hasattr(config, "workerinput")
    if config.getoption("database") == "postgresql" and not is_worker:
        given = given or resources.enter_context(postgres.running()).url
        os.environ[databases.SERVER_VARIABLE] = given
    resources.push(databases.cleanup)  # runs before the server stops


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the databases and stop the server."""
    config.stash[_resources].close()


def pytest_report_header(config: pytest.Config) -> str:
    """Name the database in the first lines of the output."""
    return f"DATABASE: {config.getoption('database').upper()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run tests of processes first; deselect those marked `any_database` on PostgreSQL."""
    # The suite would end with one long test, and its other workers would be idle.
    items.sort(key=lambda item: item.get_closest_marker("processes") is None)
    if config.getoption("database") == "postgresql":
        without = [item for item in items if item.get_closest_marker("any_database")]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
