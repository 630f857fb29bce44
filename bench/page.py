"""Writes what was measured as a page: `docs/benchmarks/README.md`."""

import math
from collections.abc import Iterable, Sequence

from bench import bars
from bench.bars import BARS, NOTHING, TIMES
from bench.chapters import CHAPTERS, Chapter, Column
from bench.contestants import CONTESTANTS
from bench.measuring import MAX_FOREIGN
from bench.results import FOLDER, Figures, Results

FILE = FOLDER / "README.md"
INTRODUCTION = """\
# Benchmarks

`make bench` writes this page, its figures (`results.json`) and its plots; how it measures is told
in [bench/README.md](../../bench/README.md), and what was made faster, and by what, in
[gains.md](gains.md). The bars were set before the first measurement; one that is missed stays told.
Ratios come first, since machines differ. Every figure is the median of the rounds, and a ratio the
median of the rounds' ratios. In a column of what others take over ours, whoever stands below
1 {times} is better than this service. Foreign load is the share of the machine that neither server
nor PostgreSQL nor load used; where it is **bold**, others were busy at every try, and the times of
that row are worth little."""
NOT_MEASURED = """\
## What was not measured

- networks: every client is on the server's own machine, without TLS and without a proxy;
- more cores than are told above, and more servers than one;
- disks: PostgreSQL runs without `fsync`, so that a commit waits for no disk, for nobody;
- other configurations of the contestants: each has the one that its documentation tells, and those
  on gunicorn's synchronous worker open a connection for each request;
- what a contestant leaves out: an audit trail, a throttle, a list of sessions. Ours does all of it
  here."""


def write(results: Results) -> None:
    """Write the page anew."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text(results))


def text(results: Results) -> str:
    """Return the page."""
    parts = [
        INTRODUCTION.format(times=TIMES),
        f"## Bars\n\n{bar_table(results)}",
        f"## Machine and versions\n\n{versions(results)}",
        *(told(results, chapter) for chapter in CHAPTERS),
        NOT_MEASURED,
    ]
    return "\n\n".join(parts) + "\n"


def bar_table(results: Results) -> str:
    """Return the bars, each with its figure and what became of it."""
    rows = [
        [bar.name, bars.shown(bar, results), f"{bar.direction} {bar.limit:g} {bar.unit}", outcome]
        for bar in BARS
        for outcome in [f"**{bar.outcome(results)}**"]
    ]
    return table(["bar", "measured", "limit", ""], rows)


def versions(results: Results) -> str:
    """Return what it was measured on, and the versions of whom."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    rows = [
        [f"`{name}`", CONTESTANTS[name].title, CONTESTANTS[name].server, _listed(packages),
         CONTESTANTS[name].note]
        for name, packages in results.packages.items()
        if name in CONTESTANTS
    ]  # fmt: skip
    return f"{machine}.\n\n{table(['name', 'what', 'server', 'versions', 'note'], rows)}"


def told(results: Results, chapter: Chapter) -> str:
    """Return a chapter: its table, why rows are missing, and its plot."""
    rows = results.sections.get(chapter.section, {})
    if not rows:
        return f"## {chapter.title}\n\nNot measured."
    lines = [
        [
            _name(name),
            _number(_ratio(results, chapter, name), chapter.ratio.decimals, TIMES),
            *(_cell(rows[name].figures, column) for column in chapter.columns),
        ]
        for name in sorted(rows, key=lambda name: _place(results, chapter, name))
    ]
    headings = ["", chapter.ratio.heading, *(column.heading for column in chapter.columns)]
    shown = [
        f"## {chapter.title}",
        chapter.text,
        table(headings, lines),
        *_missing(results, chapter),
        *([f"![{chapter.title}]({chapter.plot})"] if chapter.plot else []),
    ]
    return "\n\n".join(shown)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _missing(results: Results, chapter: Chapter) -> list[str]:
    failures = results.failures.get(chapter.section, {})
    reasons = [f"- `{name}`: {reason.splitlines()[-1][:200]}" for name, reason in failures.items()]
    return ["Without a row:", "\n".join(reasons)] if reasons else []


def _ratio(results: Results, chapter: Chapter, name: str) -> float | None:
    return results.ratio(chapter.section, chapter.ratio.figure, name, chapter.floor)


def _place(results: Results, chapter: Chapter, name: str) -> float:
    """Return where a row stands: by its size where it has one, else by its ratio."""
    if name.isdigit():
        return int(name)
    ratio = _ratio(results, chapter, name)
    return math.inf if ratio is None else ratio


def _cell(figures: Figures, column: Column) -> str:
    value = figures.get(column.figure)
    text = _number(None if value is None else value * column.scale, column.decimals)
    is_foreign = column.figure == "foreign" and value is not None and value > MAX_FOREIGN
    return f"**{text}**" if is_foreign else text


def _number(value: float | None, decimals: int, unit: str = "") -> str:
    return NOTHING if value is None else f"{value:,.{decimals}f} {unit}".strip()


def _name(name: str) -> str:
    return f"{int(name):,}" if name.isdigit() else f"`{name}`"


def _listed(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())
