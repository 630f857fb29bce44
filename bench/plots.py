"""Draw the plots of the page from the stored results.

    python -m bench.plots

It needs matplotlib (`bench/requirements.txt`). Equal results give equal files.
"""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import results
from bench.bench import OURS
from bench.floors import BCRYPT
from bench.results import FOLDER, Results, Row

WIDTH, LINE, MARGIN = 8.0, 0.36, 1.1
"""Inches: the width of a plot, the height of a bar with its gap, and that of the margins."""
OUR_COLOUR, THEIR_COLOUR, SECOND_COLOUR = "#1f6f8b", "#b0b7bd", "#e0a458"
SETTINGS = {
    "svg.hashsalt": "users",
    # Text is written as text, not as outlines: it is smaller and can be searched.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def main() -> None:
    """Draw the plots for which there are results."""
    known = results.load()
    for name, draw in PLOTS.items():
        with mpl.rc_context(SETTINGS):
            figure = draw(known)
            if figure is not None:
                # A date would make equal plots differ.
                figure.savefig(FOLDER / name, metadata={"Date": None}, bbox_inches="tight")


def status(known: Results) -> Figure | None:
    """Draw the cost of a status for server and PostgreSQL, the cheapest first."""
    rows = ordered(known.sections.get("status", {}), "server_us")
    if not rows:
        return None
    figure, axes = bars_of(rows, "Processor time of a status, one core (µs)")
    stacked(axes, rows, ("server_us", "database_us"), ("server", "PostgreSQL"))
    return figure


def login(known: Results) -> Figure | None:
    """Draw the cost of a login without its hash."""
    rows = ordered(known.sections.get("login_cost_4", {}), "framework_us")
    rows.pop(BCRYPT, None)
    if not rows:
        return None
    figure, axes = bars_of(rows, "Processor time of a login without its hash (ms)")
    values = [row.figures["framework_us"] / 1e3 for row in rows.values()]
    labelled(axes, values, colours(rows), "{:.2f}")
    return figure


def storm(known: Results) -> Figure | None:
    """Draw the latency of a status during a storm, p50 and p99, on a logarithmic scale."""
    section = known.sections.get("storm", {})
    rows = ordered({name: section[name] for name in section if name != BCRYPT}, "status_p50_ms")
    if not rows:
        return None
    figure, axes = bars_of(rows, "A status during a storm of logins (ms, logarithmic)", lines=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    for offset, name, colour in (
        (-0.2, "status_p50_ms", OUR_COLOUR),
        (0.2, "status_p99_ms", SECOND_COLOUR),
    ):
        places = [place + offset for place in range(len(rows))]
        values = [row.figures[name] for row in rows.values()]
        drawn = axes.barh(places, values, 0.36, color=colour, label=name.split("_")[1])
        axes.bar_label(drawn, [f"{value:,.1f}" for value in values], padding=3)
    axes.margins(x=0.15)
    # A logarithmic scale cannot begin at zero.
    axes.set_xlim(left=1)
    axes.legend(loc="upper right", frameon=False)
    return figure


def growth(known: Results) -> Figure | None:
    """Draw the latency of a request by the number of users."""
    rows = sorted(known.sections.get("growth", {}).items(), key=lambda row: int(row[0]))
    if not rows:
        return None
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.add_subplot()
    sizes = [int(size) for size, _ in rows]
    for name, label in GROWN.items():
        values = [row.figures[name] / rows[0][1].figures[name] for _, row in rows]
        axes.plot(sizes, values, marker="o", label=label)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
    axes.set_xlabel("users, each with a session")
    axes.set_title(f"Time of a request over that with {sizes[0]:,} users (p50)", loc="left")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def ordered(rows: dict[str, Row], figure: str) -> dict[str, Row]:
    """Return the rows in ascending order of a figure."""
    return dict(sorted(rows.items(), key=lambda row: row[1].figures[figure]))


def bars_of(rows: dict[str, Row], title: str, lines: int = 1) -> tuple[Figure, Axes]:
    """Return an empty bar chart with a line for each row, the first at the top."""
    figure = Figure(figsize=(WIDTH, MARGIN + LINE * lines * len(rows)))
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    return figure, axes


def stacked(
    axes: Axes, rows: dict[str, Row], figures: tuple[str, str], names: tuple[str, str]
) -> None:
    """Draw a stacked bar of two figures for each row, and label it with both."""
    first, second = ([row.figures[name] for row in rows.values()] for name in figures)
    places = range(len(rows))
    axes.barh(places, first, color=colours(rows), label=names[0])
    drawn = axes.barh(places, second, left=first, color=SECOND_COLOUR, label=names[1])
    texts = [f"{one:,.0f} + {other:,.0f}" for one, other in zip(first, second, strict=True)]
    axes.bar_label(drawn, texts, padding=4)
    axes.margins(x=0.15)
    axes.legend(loc="upper right", frameon=False)


def labelled(axes: Axes, values: Sequence[float], shades: Sequence[str], form: str) -> None:
    """Draw a bar for each row, and label it with its figure."""
    drawn = axes.barh(range(len(values)), values, color=shades)
    axes.bar_label(drawn, [form.format(value) for value in values], padding=4)
    axes.margins(x=0.12)


def colours(rows: dict[str, Row]) -> list[str]:
    """Return a colour for each row, with a different one for this service."""
    return [OUR_COLOUR if name == OURS else THEIR_COLOUR for name in rows]


GROWN = {
    "status_ms": "status",
    "login_ms": "login (cost 4)",
    "list_ms": "first page of the list",
    "deep_list_ms": "page in its middle",
}
PLOTS = {"status.svg": status, "login.svg": login, "storm.svg": storm, "growth.svg": growth}


if __name__ == "__main__":
    main()
