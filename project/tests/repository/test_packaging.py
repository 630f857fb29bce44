"""The entrypoint, the files of the image, the pinned packages and the verifier's package."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

import pytest

from project.limits import MAX_THREADS
from project.tests.support import databases, servers
from project.tests.support.paths import ROOT
from project.version import VERSION

ARGUMENTS = 'printf "%s\\n" "$@"\n'


@pytest.mark.any_database
class TestPackaging(TestCase):
    """Checks that need no container engine."""

    def test_the_version_is_the_same_everywhere(self) -> None:
        label = re.search(r'image\.version="(.*)"', (ROOT / "Dockerfile").read_text())
        self.assertEqual(label and label[1], VERSION)
        app = databases.bare_app("sqlite:////tmp/never.sqlite")
        document = app.test_client().get("/openapi.json").json
        self.assertEqual(document and document["info"]["version"], VERSION)

    def enter(self, *arguments: str, **environment: str) -> list[str]:
        """Run the entrypoint with a `python` that prints its arguments; return them."""
        folder = Path(databases.folder()) / "bin"
        folder.mkdir(exist_ok=True)
        python = folder / "python"
        python.write_text(f"#!/bin/sh\n{ARGUMENTS}")
        python.chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        done = subprocess.run(
            [ROOT / "entrypoint.sh", *arguments],
            env={"PATH": path, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    def test_the_entrypoint_serves_by_default(self) -> None:
        served = ["manage.py", "serve", "--host", "0.0.0.0", "--port", "5000", "--workers", "2"]
        self.assertEqual(self.enter(), served)
        self.assertEqual(self.enter("serve"), served)

    def test_the_entrypoint_reads_port_and_workers_from_the_environment(self) -> None:
        printed = self.enter("serve", PORT="8000", WEB_CONCURRENCY="4")
        self.assertEqual(printed[-4:], ["--port", "8000", "--workers", "4"])

    def test_the_entrypoint_migrates_only_by_command(self) -> None:
        self.assertEqual(self.enter("migrate"), ["manage.py", "db", "upgrade"])
        self.assertNotIn("upgrade", self.enter())

    def test_the_entrypoint_runs_any_other_command(self) -> None:
        self.assertEqual(self.enter("python", "manage.py", "shell"), ["manage.py", "shell"])

    @pytest.mark.processes
    def test_the_entrypoint_migrates_a_database(self) -> None:
        url = databases.new_database()
        environment = servers.environment(url)
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        done = subprocess.run(
            [ROOT / "entrypoint.sh", "migrate"],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        self.assertIn("is at revision", done.stdout)

    def test_every_version_is_pinned(self) -> None:
        for name in ("requirements.txt", "requirements-dev.txt", "bench/requirements.txt"):
            for line in (ROOT / name).read_text().splitlines():
                if line and not line.startswith(("#", "-r ")):
                    self.assertRegex(line, r"^[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*$")

    def test_the_image_copies_the_allowed_files(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        self.assertEqual(ignored[0], "*")
        allowed = {line[1:] for line in ignored if line.startswith("!")}
        copied = set(re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M))
        self.assertEqual({name for line in copied for name in line.split()}, allowed)

    @pytest.mark.processes
    def test_the_service_loads_no_unnecessary_package(self) -> None:
        heavy = {"coverage", "dns", "gunicorn", "hypothesis", "numpy", "pytest", "requests"}
        heavy -= {"coverage"} & sys.modules.keys()  # `cov` loads it into every process
        program = "import sys, manage; print(*{name.partition('.')[0] for name in sys.modules})"
        command, folder = [sys.executable, "-c", program], str(databases.folder())
        environment = os.environ | {"INSTANCE_PATH": folder}
        loaded = subprocess.check_output(command, env=environment, cwd=ROOT, text=True).split()
        self.assertIn("granian", loaded)
        self.assertEqual(heavy.intersection(loaded), set())

    @pytest.mark.processes
    def test_gunicorn_accepts_its_settings(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "gunicorn", "--print-config", "manage:app"],
            cwd=ROOT,
            env=servers.environment("sqlite:////tmp/never.sqlite"),
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertRegex(done.stdout, r"control_socket_disable\s+= True")
        self.assertRegex(done.stdout, r"limit_request_line\s+= 8190")
        self.assertRegex(done.stdout, r"limit_request_field_size\s+= 16384")
        self.assertRegex(done.stdout, rf"threads\s+= {MAX_THREADS}")


CLIENT = ROOT / "clients" / "python"


def imported(file: Path) -> Iterator[str]:
    """Yield all packages that a module imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.any_database
class TestVerifierPackage(TestCase):
    """The package `users-client`."""

    def test_the_package_depends_on_two_packages(self) -> None:
        project = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]
        names = [re.split(r"[<>=]", needed)[0] for needed in project["dependencies"]]
        self.assertEqual(names, ["PyJWT[crypto]", "urllib3"])

    def test_the_package_imports_no_other_package(self) -> None:
        known = {*sys.stdlib_module_names, "jwt", "urllib3", "users_client"}
        for file in (CLIENT / "users_client").glob("*.py"):
            extra = {file.stem} & {"flask", "fastapi"}
            self.assertLessEqual(set(imported(file)), known | extra, file.name)

    def test_the_package_works_without_this_repository(self) -> None:
        program = "import sys, users_client; sys.exit(bool({'flask', 'fastapi'} & {*sys.modules}))"
        environment = {"PYTHONPATH": str(CLIENT)}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_the_package_is_marked_as_typed(self) -> None:
        self.assertTrue((CLIENT / "users_client" / "py.typed").exists())
