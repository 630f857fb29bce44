"""What was measured, as it is kept in `docs/benchmarks/results.json`.

A section is a table: a row for each contestant, or for each size; of every figure the median of
the rounds, and all rounds beside it.
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
    """Figures by their names: the medians, and those of each round."""

    figures: Figures
    rounds: list[Figures] = field(default_factory=list)


@dataclass
class Results:
    """All that is known of one machine.

    `sections` holds the rows by section and name, `failures` why a row is not there, by the same;
    `machine` and `packages` what it was measured on, and of whom.
    """

    machine: dict[str, str] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    sections: dict[str, dict[str, Row]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def forget(self, sections: Iterable[str]) -> None:
        """Forget sections that are measured anew: no ratio is to be made of two runs."""
        for section in sections:
            self.sections.pop(section, None)
            self.failures.pop(section, None)

    def put(self, section: str, rows: dict[str, Row], failures: dict[str, str]) -> None:
        """Keep rows of a section, and why others are not there, beside what this run has put."""
        kept = self.sections.get(section, {})
        self.sections[section] = {**kept, **rows}
        told = {**self.failures.get(section, {}), **failures}
        self.failures[section] = {name: told[name] for name in told if name not in rows}
        for name in failures:
            self.sections[section].pop(name, None)

    def figure(self, section: str, name: str, figure: str) -> float | None:
        """Return a median; None where it was not measured."""
        row = self.sections.get(section, {}).get(name)
        return row.figures.get(figure) if row else None

    def ratio(self, section: str, figure: str, name: str, floor: str) -> float | None:
        """Return how often a floor's figure goes into another's: the median of the rounds.

        None where either was not measured.
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
    """Return what is kept; nothing where there is no file."""
    if not file.exists():
        return Results()
    kept = json.loads(file.read_text())
    sections = {
        section: {name: Row(**row) for name, row in rows.items()}
        for section, rows in kept["sections"].items()
    }
    return Results(kept["machine"], kept["packages"], sections, kept["failures"])


def save(results: Results, file: Path = FILE) -> None:
    """Keep the results."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(results), indent=1) + "\n")
