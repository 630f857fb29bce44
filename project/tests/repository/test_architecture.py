"""The structure of the code: allowed imports, and maximum sizes."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from unittest import TestCase

import pytest

from project.tests.support.paths import PROJECT

MAX_FUNCTION_LINES = 38
MAX_MODULE_LINES = 300
MAX_MODULES_IN_A_FOLDER = 16

# A package imports from the lines above its own in this list, and from itself.
LAYERS = (
    {"clock", "limits", "version"},
    {"errors", "security", "database"},
    {"extensions", "instance", "settings", "telemetry"},
    {"serving"},
    {"config", "models"},
    {"accounts", "http"},
    {"delivery"},
    {"api"},
    {"__init__"},
    {"commands"},
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
RE_EXPORT = "api.models"
"""For users of the package; nothing inside imports it."""


def package(module: str) -> str:
    """Return the top-level package of a module in `project/`."""
    return module.partition(".")[0]


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module of the service with its path."""
    for path in sorted(PROJECT.rglob("*.py")):
        relative = path.relative_to(PROJECT)
        if relative.parts[0] != "tests":
            yield ".".join(relative.with_suffix("").parts), path


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield the modules of the project that a module imports, without `project.`."""
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
    """Rules that are checked by parsing the code."""

    def test_imports_point_downwards(self) -> None:
        for module, path in modules():
            for _, imported in imports(ast.parse(path.read_text())):
                above, below = package(module), package(imported)
                with self.subTest(f"{module} imports {imported}"):
                    self.assertTrue(above == below or LEVELS[below] < LEVELS[above])

    def test_imports_have_no_cycle(self) -> None:
        graph = {
            module.removesuffix(".__init__"): {
                name for _, name in imports(ast.parse(path.read_text()))
            }
            for module, path in modules()
        }
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            self.fail(f"a cycle: {error.args[1]}")

    def test_no_module_imports_the_re_export(self) -> None:
        for module, path in modules():
            imported = {name for _, name in imports(ast.parse(path.read_text()))}
            self.assertNotIn(RE_EXPORT, imported, module)

    def test_folders_stay_small(self) -> None:
        folders = Counter(path.parent for _, path in modules())
        self.assertLessEqual(max(folders.values()), MAX_MODULES_IN_A_FOLDER, folders)

    def test_no_import_is_hidden_in_a_function(self) -> None:
        for module, path in modules():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    hidden = [
                        n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)
                    ]
                    self.assertEqual(hidden, [], f"{module}.{node.name}")

    def test_only_the_http_packages_import_the_request(self) -> None:
        for module, path in modules():
            touches = re.search(r"from flask import .*\brequest\b", path.read_text())
            if touches:
                self.assertIn(package(module), {"api", "http", "telemetry"}, module)

    def test_one_function_commits(self) -> None:
        commit = {
            f"{module}.{node.name}"
            for module, path in modules()
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef) and "session.commit(" in ast.unparse(node)
        }
        self.assertEqual(commit, {"extensions.transaction"})

    def test_only_operations_open_a_transaction(self) -> None:
        for module, path in modules():
            if re.search(r"\btransaction\(", path.read_text()):
                self.assertIn(package(module), {"accounts", "extensions"}, module)

    def test_components_are_accessed_by_extensions_only(self) -> None:
        for module, path in modules():
            if ".extensions[" in path.read_text():
                self.assertIn(module, {"extensions", "database.autocommit"}, module)

    def test_security_imports_neither_flask_nor_sqlalchemy(self) -> None:
        for module, path in modules():
            if package(module) == "security":
                self.assertNotRegex(path.read_text(), r"(?m)^(from|import) (flask|sqlalchemy)")

    def test_functions_and_modules_stay_short(self) -> None:
        for module, path in modules():
            text = path.read_text()
            self.assertLessEqual(len(text.splitlines()), MAX_MODULE_LINES, module)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    self.assertLessEqual(lines, MAX_FUNCTION_LINES, f"{module}.{node.name}")
