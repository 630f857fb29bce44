"""The page of the results, `docs/benchmarks/README.md`."""

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

`make bench` writes this page, its figures (`results.json`) and its plots.
[bench/README.md](../../bench/README.md) describes the method, and [gains.md](gains.md) the changes
that made the service faster. The targets, called bars, were set before the first measurement and
stay listed if they are missed. Ratios come first, since machines differ. Every figure is the median
of the rounds, and every ratio the median of the rounds' ratios. In a column "over ours", a
contestant below 1 {times} is better than this service. Foreign load is the share of the machine
that other processes used; where it is **bold**, they were busy at every try, and the latencies of
that row mean little."""
NOT_MEASURED = """\
## What was not measured

- networks: all clients run on the server's machine, without TLS and without a proxy;
- more cores than listed above, and more than one server;
- disks: PostgreSQL runs without `fsync`, so that no commit waits for a disk, for any contestant;
- other configurations of the contestants: each has the one of its documentation, and those on
  gunicorn's synchronous worker open a connection for each request;
- features that a contestant lacks: an audit log, rate limits, a list of sessions. This service has
  all of them enabled."""


def write(results: Results) -> None:
    """Write the page."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(render(results))


def render(results: Results) -> str:
    """Return the page as Markdown."""
    parts = [
        INTRODUCTION.format(times=TIMES),
        f"## Bars\n\n{bar_table(results)}",
        f"## Machine and versions\n\n{versions(results)}",
        *(render_chapter(results, chapter) for chapter in CHAPTERS),
        NOT_MEASURED,
    ]
    return "\n\n".join(parts) + "\n"


def bar_table(results: Results) -> str:
    """Return the table of bars, with figures and outcomes."""
    rows = [
        [
            bar.name,
            bars.format_figure(bar, results),
            f"{bar.direction} {bar.limit:g} {bar.unit}",
            outcome,
        ]
        for bar in BARS
        for outcome in [f"**{bar.outcome(results)}**"]
    ]
    return table(["bar", "measured", "limit", ""], rows)


def versions(results: Results) -> str:
    """Return the description of the machine, and a table of the contestants' versions."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    rows = [
        [f"`{name}`", CONTESTANTS[name].title, CONTESTANTS[name].server, _listed(packages),
         CONTESTANTS[name].note]
        for name, packages in results.packages.items()
        if name in CONTESTANTS
    ]  # fmt: skip
    return f"{machine}.\n\n{table(['name', 'what', 'server', 'versions', 'note'], rows)}"


def render_chapter(results: Results, chapter: Chapter) -> str:
    """Return a chapter: its table, the reasons for missing rows, and its plot."""
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
    parts = [
        f"## {chapter.title}",
        chapter.text,
        table(headings, lines),
        *_missing(results, chapter),
        *([f"![{chapter.title}]({chapter.plot})"] if chapter.plot else []),
    ]
    return "\n\n".join(parts)


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
    """Return the sort key of a row: its number of users if it has one, otherwise its ratio."""
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
