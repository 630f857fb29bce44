"""The arrows of the house: who may import whom."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

import pytest

PROJECT = Path(__file__).parent.parent
LONGEST_FUNCTION = 45
LONGEST_MODULE = 320

# A module or package, and what of the project's own it may import. Order: from the ground up.
ARROWS = {
    "clock": set[str](),
    "instance": set[str](),
    "readers": set[str](),
    "mail_settings": set[str](),
    "security": {"security"},
    "telemetry": {"security", "telemetry"},
    "serving.limits": set[str](),
    "database": {"database", "serving.limits"},
    "settings": {"database", "mail_settings", "readers", "security"},
    "config": {"database", "instance", "mail_settings", "readers", "security", "settings"},
    "errors": set[str](),
    "error_handler": {"database", "errors", "telemetry"},
    "extensions": {"database"},
    "serving": {"database", "errors", "extensions", "serving", "serving.limits", "telemetry"},
    "models": {"database", "models"},
    "api.models": {"clock", "database", "errors", "extensions", "models", "security"},
    "accounts": {
        "accounts", "api.models", "clock", "database", "errors", "extensions", "models",
        "readers", "security",
    },
    "delivery": {
        "accounts", "clock", "database", "delivery", "extensions", "mail_settings", "models",
    },
    "api": {
        "accounts", "api", "api.models", "clock", "errors", "extensions", "security", "serving",
        "serving.limits", "telemetry",
    },
    "__init__": {
        "accounts", "api", "config", "database", "delivery", "error_handler", "extensions",
        "security", "telemetry",
    },
    "commands": {
        "__init__", "accounts", "api", "api.models", "clock", "commands", "config", "database",
        "delivery", "errors", "extensions", "instance", "mail_settings", "models", "security",
        "serving", "telemetry",
    },
}  # fmt: skip


def room(module: str) -> str:
    """Return which room of the house a module is in."""
    return module if module in ARROWS else module.partition(".")[0]


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module of the service with its path."""
    for path in sorted(PROJECT.rglob("*.py")):
        relative = path.relative_to(PROJECT)
        if relative.parts[0] != "tests":
            yield ".".join(relative.with_suffix("").parts), path


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield what a module imports of the project, as modules without `project.`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("project"):
                    yield node, alias.name.removeprefix("project.")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("project"):
            base = str(node.module).removeprefix("project").lstrip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".lstrip(".")
                place = PROJECT / whole.replace(".", "/")
                known = place.is_dir() or place.with_suffix(".py").exists()
                yield node, whole if known else base or "__init__"


@pytest.mark.any_database
class TestArchitecture(TestCase):
    """Read from the code as it stands."""

    def test_every_import_follows_an_arrow(self) -> None:
        for module, path in modules():
            for _, imported in imports(ast.parse(path.read_text())):
                target = room(imported)
                with self.subTest(f"{module} imports {imported}"):
                    self.assertIn(target, ARROWS[room(module)])

    def test_the_arrows_run_one_way(self) -> None:
        below: set[str] = set()
        for name, targets in ARROWS.items():
            self.assertLessEqual(targets - {name}, below, name)
            below.add(name)

    def test_no_import_is_hidden_in_a_function(self) -> None:
        for module, path in modules():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    hidden = [
                        n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)
                    ]
                    self.assertEqual(hidden, [], f"{module}.{node.name}")

    def test_the_request_is_touched_by_the_http_side_alone(self) -> None:
        for module, path in modules():
            touches = re.search(r"from flask import .*\brequest\b", path.read_text())
            if touches:
                self.assertIn(room(module), {"api", "telemetry"}, module)

    def test_deeds_alone_commit(self) -> None:
        for module, path in modules():
            if "session.commit" in path.read_text():
                self.assertEqual(room(module), "accounts", module)

    def test_security_knows_neither_flask_nor_the_database(self) -> None:
        for module, path in modules():
            if room(module) == "security":
                self.assertNotRegex(path.read_text(), r"(?m)^(from|import) (flask|sqlalchemy)")

    def test_functions_and_modules_stay_short(self) -> None:
        for module, path in modules():
            text = path.read_text()
            self.assertLessEqual(len(text.splitlines()), LONGEST_MODULE, module)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    self.assertLessEqual(lines, LONGEST_FUNCTION, f"{module}.{node.name}")
