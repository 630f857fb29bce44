"""The contestants of the benchmark: pinned packages, requests and documentation."""

import json
import re
from unittest import TestCase

import pytest

from bench.contestants import CONTESTANTS, Account, Tokens, environments

FOLDERS = {
    folder.name
    for folder in environments.SOURCES.iterdir()
    if folder.is_dir() and folder.name != "__pycache__"
}
README = (environments.SOURCES.parent / "README.md").read_text()
ADA = Account("ada", "ada@example.com", "correct horse battery staple")


@pytest.mark.any_database
class TestContestants(TestCase):
    """Checks without the contestants' environments; `python -m bench.contestants` runs them."""

    def test_every_folder_belongs_to_a_contestant(self) -> None:
        used = {contestant.environment for contestant in CONTESTANTS.values()}
        self.assertEqual(used - {""}, FOLDERS)

    def test_every_package_is_pinned(self) -> None:
        for folder in FOLDERS:
            pinned = environments.requirements(folder)
            for version in versions(pinned.read_text(), pinned.suffix == ".json"):
                with self.subTest(folder):
                    self.assertRegex(version, r"^[0-9]+(\.[0-9]+)+$")

    def test_packages_of_the_service_have_the_same_version(self) -> None:
        ours = environments.versions("", ("Flask", "PyJWT", "bcrypt", "gunicorn"))
        for folder in FOLDERS - {"better-auth"}:
            for line in environments.requirements(folder).read_text().splitlines():
                name, _, version = line.partition("==")
                self.assertEqual(ours.get(name, version), version, f"{folder}: {name}")

    def test_every_contestant_is_in_the_readme(self) -> None:
        for name in CONTESTANTS:
            self.assertIn(f"| `{name}` |", README)

    def test_a_status_request_contains_the_token(self) -> None:
        for contestant in CONTESTANTS.values():
            fields = contestant.status(Tokens("a-token")).headers.values()
            self.assertTrue(any("a-token" in field for field in fields), contestant.name)

    def test_a_failed_login_has_no_token(self) -> None:
        for contestant in set(CONTESTANTS.values()) - {CONTESTANTS["bare-flask"]}:
            with self.assertRaises(ValueError):
                contestant.tokens(401, {}, b"{}")

    def test_the_login_request_of_the_service_is_the_documented_one(self) -> None:
        call = CONTESTANTS["users"].login(ADA)
        self.assertEqual((call.method, call.path), ("POST", "/auth/login"))
        self.assertEqual(
            json.loads(call.body or b""), {"email": ADA.email, "password": ADA.password}
        )


def versions(text: str, is_json: bool) -> list[str]:
    """Return the version of each package that a file names."""
    if is_json:
        return list(json.loads(text)["dependencies"].values())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [re.split(r"==|[^\w.-]", line, maxsplit=1)[-1] for line in lines]
