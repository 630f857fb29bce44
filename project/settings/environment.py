"""The environment: secrets that are read from files, and settings whose names are misspelt."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from project.settings import SETTINGS

FILE_SUFFIX = "_FILE"
MAX_FILE_BYTES = 65536
FILE_SETTINGS = {
    f"{setting.name}{FILE_SUFFIX}": setting.name for setting in SETTINGS if setting.secret
}
"""Which setting each of these names a file of."""

KNOWN = {"APP_SETTINGS", *FILE_SETTINGS, *(setting.name for setting in SETTINGS)}

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
"""Names that may resemble a setting and belong to other programs."""

LONG_NAME = 16
"""Characters from which on two mistakes are still a resemblance."""


def with_files(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment with the secrets that are in files, and the faults by setting.

    A file holds the value alone; one newline at its end does not count.
    """
    values, faults = dict(environment), dict[str, str]()
    for file_setting, name in FILE_SETTINGS.items():
        path = environment.get(file_setting)
        if not path:
            continue
        if environment.get(name):
            faults[name] = f"{name} and {file_setting} are both set: leave one of them out."
            continue
        try:
            values[name] = _content(Path(path))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            faults[name] = (
                f"{file_setting}: cannot read {path!a} ({reason}): name a file that holds the "
                f"value of {name}, and that this user may read."
            )
    return values, faults


def misspelt(environment: Iterable[str]) -> dict[str, str]:
    """Return the names that closely resemble a setting, each with the nearest setting."""
    found = {}
    for name in sorted({*environment} - KNOWN - OTHER_PROGRAMS):
        nearest = min(_resembling(_stem(name)), default=None)
        if nearest:
            found[name] = nearest[1]
    return found


def _resembling(name: str) -> Iterator[tuple[int, str]]:
    """Yield the settings that a name resembles, each with how far it is away."""
    letters = {*name}
    for stem, known in STEMS.items():
        most = 2 if len(known) >= LONG_NAME else 1
        # Two cheap looks first: an environment has a hundred names.
        if abs(len(stem) - len(name)) <= most and len(letters ^ {*stem}) <= 2 * most:
            distance = _distance(name, stem)
            if distance <= most:
                yield distance, known


def _content(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
    string = content.decode().removesuffix("\n").removesuffix("\r")
    if not string:
        raise ValueError("it is empty")
    if "\0" in string:
        raise ValueError("it holds a NUL")
    return string


def _stem(name: str) -> str:
    """Return a name in capitals and in the singular."""
    name = name.upper()
    return f"{name[:-3]}Y" if name.endswith("IES") else name.removesuffix("S")


def _distance(one: str, other: str) -> int:
    """Return how many letters were added, left out, replaced or swapped (optimal alignment)."""
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


STEMS = {_stem(known): known for known in sorted(KNOWN)}
