"""Settings, error codes, commands, routes and files are documented."""

import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from unittest import TestCase

import pytest

import manage
from project import create_app
from project.api.schemas import fields
from project.config import CONFIGS, DEFAULT_CONFIG, BaseConfig
from project.http import openapi, payload
from project.security.passwords import Weakness
from project.security.rate_limit import format_duration
from project.settings import SETTINGS, Setting
from project.tests.support import databases
from project.tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
ACCOUNT_LIFE = (ROOT / "docs" / "account-life.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def formatted_default(value: object) -> str:
    """Return a default in the notation of the README."""
    if value in (None, []):
        return "none"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, list):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def row(setting: Setting) -> str:
    """Return a setting's row in the table of the README."""
    default = formatted_default(setting.default)
    others = [
        f"{path.rpartition('.')[2].removesuffix('Config').lower()}: {formatted_default(value)}"
        for path, config in CONFIGS.items()
        if (value := getattr(config, setting.name)) != getattr(BaseConfig, setting.name)
    ]
    defaults = f"{default} ({', '.join(others)})" if others else default
    return f"| `{setting.name}` | {defaults} | {setting.description} |"


def tracked_files() -> list[str]:
    """Return every file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [file for file in listed.stdout.split() if (ROOT / file).exists()]


def architecture_entries(files: list[str]) -> set[str]:
    """Return the entries of the tree: folders of two levels, files of the root and `project/`."""
    entries = set()
    for file in files:
        *folders, _ = file.split("/")
        entries |= {"/".join(folders[:depth]) + "/" for depth in (1, 2) if folders[:depth]}
        if folders in ([], ["project"]):
            entries.add(file)
    return entries


@pytest.mark.any_database
class TestDocumentation(TestCase):
    """Each test fails with the missing line."""

    def test_every_setting_is_in_the_readme(self) -> None:
        self.assertIn(f"| `APP_SETTINGS` | `{DEFAULT_CONFIG}` |", README)
        for setting in SETTINGS:
            self.assertIn(row(setting), README)

    def test_the_readme_has_the_settings_in_their_order_and_no_other(self) -> None:
        table = README.split("| setting |")[1].split("\n\n")[0]
        named = re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)
        self.assertEqual(named, ["APP_SETTINGS", *(setting.name for setting in SETTINGS)])

    def test_every_command_is_in_the_readme(self) -> None:
        manage.manager.set_defaults()
        for command in manage.manager._commands:
            self.assertRegex(README, rf"(?m)^\|.* `{command}`.* \| ")

    def test_every_route_is_in_the_readme(self) -> None:
        everything = {"EMAIL_LOGIN": True, "REGISTRATION": "invited"}
        app = databases.bare_app("sqlite:////tmp/never.sqlite", **everything)
        with app.app_context() as context:
            rules = list(context.app.url_map.iter_rules())
        for rule in rules:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                self.assertIn(f"`{method} {rule.rule}`", README)

    def test_every_example_for_front_ends_is_a_valid_request(self) -> None:
        everything = {"EMAIL_LOGIN": True, "REGISTRATION": "invited"}
        document = openapi.build(databases.bare_app("sqlite:////tmp/never.sqlite", **everything))
        examples = re.findall(
            r"send ([A-Z]+) \"?([\w/$-]+)\"?(?: (?:\\\n *)?'(.*?)')?", ACCOUNT_LIFE
        )
        self.assertGreater(len(examples), 15)
        for method, path, body in examples:
            route = document["paths"][re.sub(r"\$(\w+)", r"{\1}", path)][method.lower()]
            with self.subTest(f"{method} {path}"):
                self.assertLessEqual(
                    set(json.loads(body or "{}")), self.body_fields(document, route)
                )

    def body_fields(self, document: openapi.Schema, route: openapi.Schema) -> set[str]:
        """Return the names of the fields of a route's body."""
        if "requestBody" not in route:
            return set()
        reference = route["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        return set(document["components"]["schemas"][reference.rpartition("/")[2]]["properties"])

    def test_every_code_is_in_the_docs_with_its_status(self) -> None:
        for member in openapi.iter_error_classes():
            line = next((line for line in API.splitlines() if f"| `{member.code}` |" in line), "")
            self.assertIn(str(member.status), line, member.code)

    def test_every_code_of_a_field_error_is_in_the_docs(self) -> None:
        source = Path(fields.__file__).read_text() + Path(payload.__file__).read_text()
        codes = set(re.findall(r'PydanticCustomError\(\s*"(\w+)"', source))
        codes |= set(re.findall(r'FieldError\("", "(\w+)"', source))
        codes |= {code for code, _ in payload.FIELD_ERRORS.values()}
        codes |= {weakness.value for weakness in Weakness}
        self.assertGreater(len(codes), 8)
        for code in codes:
            self.assertRegex(API.split("codes of `errors`")[1], rf"\| .*`{code}`.* \|")

    def test_the_architecture_lists_every_folder_and_top_level_file(self) -> None:
        listed, folder = set(), ""
        for line in ARCHITECTURE.split("## The tree")[1].split("```")[1].strip().splitlines():
            name, *description = line.split()
            self.assertTrue(description, f"{name} has no description")
            folder = folder if line.startswith(" ") else name
            listed.add(folder + name if line.startswith(" ") else name)
        self.assertEqual(listed, architecture_entries(tracked_files()))

    def test_links_in_the_docs_have_a_target(self) -> None:
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
            for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
                self.assertTrue((page.parent / link).exists(), f"{page.name}: {link}")

    def test_the_tour_uses_existing_routes(self) -> None:
        tour = README.split("## A tour with curl")[1].split("\n## ")[0]
        app = create_app("project.config.TestingConfig", INSTANCE_PATH="/tmp")
        served = {str(rule) for rule in app.url_map.iter_rules()}
        for path in re.findall(r"\$url(/[\w/]+)", tour):
            self.assertIn(path, served)
