"""The process environment: secrets in files, and misspelt names of settings."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from project.settings import SETTINGS

FILE_SUFFIX = "_FILE"
MAX_FILE_BYTES = 65536
FILE_SETTINGS = {
    f"{setting.name}{FILE_SUFFIX}": setting.name for setting in SETTINGS if setting.secret
}
"""Maps `SECRET_KEY_FILE` to `SECRET_KEY`, and so on for every secret setting."""

KNOWN_NAMES = {"APP_SETTINGS", *FILE_SETTINGS, *(setting.name for setting in SETTINGS)}

OTHER_PROGRAMS = frozenset(
    {
        "DATABASE_HOST",
        "DATABASE_NAME",
        "DATABASE_PASSWORD",
        "DATABASE_PORT",
        "DATABASE_USER",
        "LOGLEVEL",
        "PATH",
        "PORT",
        "SERVER_NAME",
        "WEB_CONCURRENCY",
    }
)
"""Variables of other programs that may resemble a setting."""

LONG_NAME_LENGTH = 16
"""In names of at least this length two typing errors are recognized, in shorter ones one."""


def read_secret_files(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment with the secrets read from their files, and the errors by setting.

    A file contains the value alone; one newline at its end is ignored.
    """
    values, errors = dict(environment), dict[str, str]()
    for file_setting, name in FILE_SETTINGS.items():
        path = environment.get(file_setting)
        if not path:
            continue
        if environment.get(name):
            errors[name] = f"{name} and {file_setting} are both set: remove one of them."
            continue
        try:
            values[name] = _read_file(Path(path))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            errors[name] = (
                f"{file_setting}: cannot read {path!a} ({reason}): name a file that contains the "
                f"value of {name} and that this user may read."
            )
    return values, errors


def find_misspelt(environment: Iterable[str]) -> dict[str, str]:
    """Return the names that closely resemble a setting, each with the most similar setting."""
    found = {}
    for name in sorted({*environment} - KNOWN_NAMES - OTHER_PROGRAMS):
        nearest = min(_similar_settings(_stem(name)), default=None)
        if nearest:
            found[name] = nearest[1]
    return found


def _similar_settings(name: str) -> Iterator[tuple[int, str]]:
    """Yield the settings that resemble a name, each with its distance."""
    letters = {*name}
    for stem, known in STEMS.items():
        limit = 2 if len(known) >= LONG_NAME_LENGTH else 1
        # Two cheap checks first: an environment has a hundred names.
        if abs(len(stem) - len(name)) <= limit and len(letters ^ {*stem}) <= 2 * limit:
            distance = _distance(name, stem)
            if distance <= limit:
                yield distance, known


def _read_file(file: Path) -> str:
    if file.is_fifo():  # a reader could wait forever, and only one process would get the value
        raise ValueError("it is a pipe")
    with file.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
    string = content.decode().removesuffix("\n").removesuffix("\r")
    if not string:
        raise ValueError("it is empty")
    if "\0" in string:
        raise ValueError("it contains a NUL")
    return string


def _stem(name: str) -> str:
    """Return a name in capital letters and in the singular."""
    name = name.upper()
    return f"{name[:-3]}Y" if name.endswith("IES") else name.removesuffix("S")


def _distance(one: str, other: str) -> int:
    """Return the number of letters added, removed, replaced or swapped (optimal alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


STEMS = {_stem(known): known for known in sorted(KNOWN_NAMES)}
