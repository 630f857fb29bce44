"""Commands of manage.py, run as a user types them."""

import os
import subprocess
import sys
from collections.abc import Mapping

from project.tests.support.paths import ROOT

PRODUCTION = {
    "APP_SETTINGS": "project.config.ProductionConfig",
    "SECRET_KEY": "f3b1c4d5e6a798071625344352617081",
    "BCRYPT_LOG_ROUNDS": "4",
}


def manage(
    *arguments: str, typed: str = "", environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command; return the completed process."""
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
