"""The environments of the contestants: a folder each, with its pinned packages."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

ENVIRONMENTS = Path(__file__).parent.parent / ".environments"
SOURCES = Path(__file__).parent


class CannotBuild(Exception):
    """An environment cannot be built."""


def folder(name: str) -> Path:
    """Return the folder of an environment."""
    return ENVIRONMENTS / name


def build(name: str) -> None:
    """Install the packages of `requirements.txt` or `package.json`, unless they are installed.

    Raises CannotBuild.
    """
    pinned = requirements(name)
    stamp = folder(name) / "built-from"
    if stamp.exists() and stamp.read_text() == pinned.read_text():
        return
    shutil.rmtree(folder(name), ignore_errors=True)
    (_install_node if pinned.suffix == ".json" else _install_python)(folder(name), pinned)
    stamp.write_text(pinned.read_text())


def requirements(name: str) -> Path:
    """Return the file that pins the packages of an environment."""
    python, node = SOURCES / name / "requirements.txt", SOURCES / name / "package.json"
    return python if python.exists() else node


def _install_python(target: Path, pinned: Path) -> None:
    _run([sys.executable, "-m", "venv", str(target)])
    install = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run([*install, "--disable-pip-version-check", "-r", str(pinned)])


def _install_node(target: Path, package: Path) -> None:
    target.mkdir(parents=True)
    shutil.copy(package, target)
    _run(["npm", "install", "--prefix", str(target), "--no-audit", "--no-fund"])


def _run(argv: list[str]) -> None:
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CannotBuild(f"{argv[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise CannotBuild(f"{' '.join(argv)}:\n{error.stderr}") from None


def versions(name: str, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of installed packages. An empty name means the current environment.

    Raises FileNotFoundError or KeyError if one is not installed.
    """
    modules = folder(name) / "node_modules"
    if name and modules.exists():
        return _runtime() | {one: _node_version(modules / one) for one in packages}
    installed = {_key(one.name): one.version for one in _distributions(name)}
    return {one: installed[_key(one)] for one in packages}


def _runtime() -> dict[str, str]:
    done = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    return {"node": done.stdout.strip().removeprefix("v")}


def _node_version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text())["version"])


def _distributions(name: str) -> list[Distribution]:
    if not name:
        return list(distributions())
    site = next(folder(name).glob("lib/python*/site-packages"))
    return list(distributions(path=[str(site)]))


def _key(package: str) -> str:
    return package.lower().replace("_", "-")
