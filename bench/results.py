"""The results of the benchmark, which are stored in `docs/benchmarks/results.json`.

A section is a table with a row for each contestant, or for each number of users. A row holds the
median of every figure, and the figures of all rounds.
"""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs" / "benchmarks"
FILE = FOLDER / "results.json"

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """The medians of all rounds, and the figures of each round, by name."""

    figures: Figures
    rounds: list[Figures] = field(default_factory=list)


@dataclass
class Results:
    """The results of one machine.

    `sections` holds the rows by section and name, and `failures` the reasons for missing rows.
    `machine` describes the machine; `packages` holds the versions of the contestants' packages.
    """

    machine: dict[str, str] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    sections: dict[str, dict[str, Row]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def discard(self, sections: Iterable[str]) -> None:
        """Discard sections before they are measured again: ratios must not mix two runs."""
        for section in sections:
            self.sections.pop(section, None)
            self.failures.pop(section, None)

    def put(self, section: str, rows: dict[str, Row], failures: dict[str, str]) -> None:
        """Add rows and failures to those that a section has already."""
        self.sections[section] = {**self.sections.get(section, {}), **rows}
        reasons = {**self.failures.get(section, {}), **failures}
        self.failures[section] = {name: reasons[name] for name in reasons if name not in rows}
        for name in failures:
            self.sections[section].pop(name, None)

    def figure(self, section: str, name: str, figure: str) -> float | None:
        """Return the median of a figure; None if it was not measured."""
        row = self.sections.get(section, {}).get(name)
        return row.figures.get(figure) if row else None

    def ratio(self, section: str, figure: str, name: str, floor: str) -> float | None:
        """Return the ratio of a figure to that of a baseline: the median of the rounds' ratios.

        It is None if either was not measured.
        """
        rows = self.sections.get(section, {})
        if name not in rows or floor not in rows:
            return None
        pairs = zip(rows[name].rounds, rows[floor].rounds, strict=False)
        ratios = [
            one[figure] / other[figure]
            for one, other in pairs
            if figure in one and other.get(figure)
        ]
        return statistics.median(ratios) if ratios else None


def load(file: Path = FILE) -> Results:
    """Return the stored results; empty results if there is no file."""
    if not file.exists():
        return Results()
    stored = json.loads(file.read_text())
    sections = {
        section: {name: Row(**row) for name, row in rows.items()}
        for section, rows in stored["sections"].items()
    }
    return Results(stored["machine"], stored["packages"], sections, stored["failures"])


def save(results: Results, file: Path = FILE) -> None:
    """Store the results."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(results), indent=1) + "\n")
