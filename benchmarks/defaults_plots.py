"""Plots of what the defaults do: python benchmarks/defaults_plots.py draws them from results/defaults.json.

Each is as wide as half a page, so two stand side by side where there is room, and below each other on a phone. They
have no background, and colours that can be read by day and by night.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drawing import TEXT, apart, draw_all, grid, see_through

RESULTS = Path(__file__).resolve().parent / "results"
NEW, BEFORE, SECOND, OTHER = "#17915A", "#C2630B", "#1A7FC4", "#808080"  # today's default, the one before, more of ours
KNOWING = "with expected"  # what the plot calls thompson_any that knows something of each arm
COLOURS = {
    "fourier_softmax": NEW,
    "thompson_any": NEW,
    "fourier_ucb": BEFORE,
    "thompson_beta": BEFORE,
    KNOWING: SECOND,
}
WIDTH, HEIGHT = 4.0, 3.3  # inches
GAP = 0.065  # between two labels, as a share of the axis
BEST, AT_RANDOM = 0.6, 0.32  # of the five arms whose rewards are told in other units
Result = dict[str, Any]


def draw(result: Result, folder: Path) -> list[str]:
    """Draw all plots into a folder, and return the files."""
    return draw_all({name: lambda make=make: make(result) for name, (make, _) in PLOTS.items()}, folder)


def shown(result: Result) -> str:
    """Return the plots as a page in docs/ shows them, each with what is to be seen in words."""
    return "\n".join(f"![{say(result)}](../benchmarks/results/{name})" for name, (_, say) in PLOTS.items())


def late(result: Result) -> Any:
    """Draw the share of digits that was right over the delay of rewards."""
    found = _late(result)
    figure, axes = grid(1, 1, WIDTH, HEIGHT)
    ax = axes[0, 0]
    delays = [float(delay) for delay in found["linucb"]]
    places = [delay**0.5 for delay in delays]
    _lines(ax, places, {name: list(of.values()) for name, of in found.items()}, (0.0, 1.0))
    ax.set(xticks=places, xticklabels=[f"{delay:g}" for delay in delays])
    ax.set(xlabel="decisions until a reward is learned", ylabel="share of digits that was right")
    return _titled(figure, "Rewards that come late")


def units(result: Result) -> Any:
    """Draw what is earned in each unit: two points a row, and what lies between them."""
    new, before = result["units"]["thompson_any"], result["units"]["thompson_beta"]
    rows = [unit for unit in new if unit != "noise"]
    figure, axes = grid(1, 1, WIDTH, HEIGHT)
    ax = axes[0, 0]
    ax.axvline(AT_RANDOM, color=TEXT, linewidth=1.0, linestyle=":")
    for y, unit in enumerate(rows):
        ax.plot([before[unit], new[unit]], [y, y], color=OTHER, linewidth=1.0)
        ax.plot(before[unit], y, "o", color=BEFORE, markersize=7)
        ax.plot(new[unit], y, "o", color=NEW, markersize=7)
    ax.text(before[rows[1]] - 0.015, 1, "thompson_beta", color=BEFORE, ha="right", va="center", fontsize=10)
    ax.text(new[rows[0]] - 0.03, 0, "thompson_any", color=NEW, ha="right", va="center", fontsize=10)
    ax.text(AT_RANDOM + 0.008, 0, "at random", color=TEXT, va="center", fontsize=10)
    ax.set(xlim=(0.3, BEST + 0.02), ylim=(len(rows) - 0.5, -0.6), xticks=(0.3, 0.4, 0.5, BEST), yticks=range(len(rows)))
    ax.set(yticklabels=rows, xlabel=f"earned a decision; the best arm pays {BEST:g}")
    return _titled(figure, "Rewards times a plus b")


def many(result: Result) -> Any:
    """Draw what is earned over the number of arms."""
    found = _many(result)
    figure, axes = grid(1, 1, WIDTH, HEIGHT)
    ax = axes[0, 0]
    arms = [int(k) for k in next(iter(found.values()))]
    ax.set_xscale("log")
    _lines(ax, arms, {name: list(of.values()) for name, of in found.items()}, (0.08, 0.3))
    ax.set_yticks((0.1, 0.2, 0.3))
    ax.set(xlabel="arms: one of .3, the others below .2", ylabel="earned a decision")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.minorticks_off()
    return _titled(figure, "Many arms, 10,000 decisions")


def size(result: Result) -> Any:
    """Draw time and memory over the number of arms, one above the other."""
    figure, axes = grid(2, 1, WIDTH, HEIGHT / 2.0, sharex=True)
    for ax, part, label in zip(axes[:, 0], ("ms", "mb"), ("ms a decision", "MB of state"), strict=True):
        for name, colour in (("fourier_softmax", NEW), ("thompson_any", SECOND)):
            _growth(ax, [row for row in result["wide"] if row["policy"] == name], part, colour)
        ax.set(xscale="log", yscale="log", ylabel=label)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.minorticks_off()
    axes[1, 0].set(xlabel="arms", xticks=(10, 1000, 100_000))
    axes[1, 0].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return _titled(figure, "Time and memory")


def _late(result: Result) -> dict[str, dict[str, float]]:
    return {name: result["delays"][name] for name in ("fourier_softmax", "fourier_ucb", "linucb")}


def _many(result: Result) -> dict[str, dict[str, float]]:
    return {KNOWING if ":" in name else name: of for name, of in result["many"].items()}


def _growth(ax: Any, rows: list[dict[str, Any]], part: str, colour: str) -> None:
    """Draw a part over the number of arms, with the policy's name, and a word where its last contexts are smaller."""
    ax.plot([row["arms"] for row in rows], [row[part] for row in rows], "o-", color=colour, linewidth=2.0)
    last = rows[-1]
    place = 1.6 * last["arms"], last[part]
    ax.text(*place, last["policy"], color=colour, va="center", fontsize=10)
    if last["dimension"] < rows[0]["dimension"]:
        less, up = f"contexts of {last['dimension']}, not {rows[0]['dimension']}", (0, 12)
        ax.annotate(less, place, up, textcoords="offset points", color=colour, va="center", fontsize=8.5)


def _lines(ax: Any, places: list[Any], found: dict[str, list[float]], limits: tuple[float, float]) -> None:
    """Draw a line for each policy, and write its name at the end."""
    low, high = limits
    ranked = sorted(found, key=lambda name: found[name][-1])
    heights = apart([found[name][-1] for name in ranked], GAP * (high - low), high)
    for name, height in zip(ranked, heights, strict=True):
        colour = COLOURS.get(name, OTHER)
        ax.plot(places, found[name], "o-", color=colour, linewidth=1.2 if colour == OTHER else 2.2, markersize=4)
        ax.annotate(
            name, (1.0, height), (4, 0), ("axes fraction", "data"), textcoords="offset points",
            color=colour, va="center", fontsize=10,
        )  # fmt: skip
    ax.set(ylim=limits)
    ax.margins(x=0.02)


def _titled(figure: Any, title: str) -> Any:
    figure.axes[0].set_title(title, loc="left", color=TEXT, fontsize=11)
    see_through(figure)
    return figure


def _ends(found: dict[str, dict[str, float]]) -> str:
    """Return the first and the last number of each policy in words."""
    pairs = ((name, list(of.values())) for name, of in found.items())
    return ", ".join(f"{name} {numbers[0]:.2f} and {numbers[-1]:.2f}" for name, numbers in pairs)


def _say_late(result: Result) -> str:
    found = _late(result)
    last = list(found["linucb"])[-1]
    return f"Share of digits that was right where rewards come at once, and {last} decisions later: {_ends(found)}"


def _say_units(result: Result) -> str:
    worst = {
        name: min(value for unit, value in result["units"][name].items() if unit != "noise")
        for name in ("thompson_any", "thompson_beta")
    }
    least = ", ".join(f"{name} {value:.2f}" for name, value in worst.items())
    return f"Earned a decision where rewards are multiplied by a and b is added, each at its worst: {least}"


def _say_many(result: Result) -> str:
    found = _many(result)
    first, *_, last = (int(k) for k in found[KNOWING])
    return f"Earned a decision among {first} arms, and among {last:,}: {_ends(found)}"


def _say_size(result: Result) -> str:
    said = []
    for name in ("fourier_softmax", "thompson_any"):
        row = max((row for row in result["wide"] if row["policy"] == name), key=lambda row: int(row["arms"]))
        said.append(f"{name} with {row['arms']:,} arms {row['ms']:.2g} ms and {row['mb']:.2g} MB")
    return f"Time of a decision and its reward, and memory, by the number of arms: {', '.join(said)}"


PLOTS: dict[str, tuple[Callable[[Result], Any], Callable[[Result], str]]] = {  # file: what draws it, what it shows
    "defaults_late.svg": (late, _say_late),
    "defaults_units.svg": (units, _say_units),
    "defaults_many.svg": (many, _say_many),
    "defaults_size.svg": (size, _say_size),
}


if __name__ == "__main__":
    print("\n".join(draw(json.loads((RESULTS / "defaults.json").read_text()), RESULTS)))
