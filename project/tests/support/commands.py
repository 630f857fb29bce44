"""Run the commands of manage.py as a user types them."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import Context
from functools import partial
from typing import Any
from unittest import mock

from alembic.config import Config
from flask import Flask

from manage import main, manager
from project import create_app
from project.extensions import migrate
from project.tests.support.outages import closing_connections
from project.tests.support.paths import ROOT

PRODUCTION = {
    "APP_SETTINGS": "project.config.ProductionConfig",
    "SECRET_KEY": "f3b1c4d5e6a798071625344352617081",
    "BCRYPT_LOG_ROUNDS": "4",
}

Done = subprocess.CompletedProcess[str]


def manage(*arguments: str, typed: str = "", environment: Mapping[str, str]) -> Done:
    """Run a command in this process, with an app of its own; return its exit code and output.

    Only a test of the process itself needs `manage_in_child`.
    """
    words = ["manage.py", *arguments]
    out, err = io.StringIO(), io.StringIO()
    system: dict[str, Any] = {"stdin": io.StringIO(typed), "stdout": out, "stderr": err}
    with (
        _isolated_logging(),
        mock.patch.dict(os.environ, environment),
        mock.patch.multiple(sys, argv=words, **system),
        ExitStack() as stack,
        mock.patch.object(manager, "app", partial(_create_app, stack)),
        # By default Alembic prints to the standard output that it found when it was imported.
        mock.patch.object(migrate, "configure_callbacks", [_print_to_stdout]),
    ):
        # Outside the context of the test, as in a new process.
        code = Context().run(_run_main)
    return Done(words, code, out.getvalue(), err.getvalue())


def manage_in_child(*arguments: str, typed: str = "", environment: Mapping[str, str]) -> Done:
    """Run a command in a child process; return the completed process."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _create_app(stack: ExitStack) -> Flask:
    app = create_app()
    stack.enter_context(closing_connections(app))
    return app


def _print_to_stdout(config: Config) -> Config:
    config.stdout = sys.stdout
    return config


def _run_main() -> int:
    """Return the exit code of the command; print the message of an exit as Python does."""
    try:
        main()
    except SystemExit as ended:
        if not isinstance(ended.code, str):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
    return 1


@contextmanager
def _isolated_logging() -> Iterator[None]:
    """Let the command configure the log of a new process; restore that of the tests."""
    with (
        mock.patch.object(logging.getLogger(), "handlers", []),
        mock.patch.object(logging.getLogger("werkzeug"), "propagate", True),
    ):
        yield
