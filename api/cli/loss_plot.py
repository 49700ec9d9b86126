"""Worst losses over difficulty as a plot. Needs matplotlib; imported only where a plot is asked for."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ...engine.hardness.worst_case import WorstCase

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # of Okabe and Ito
MARKS = ("o", "s", "^", "D", "v", "P", "X")


def draw_losses(found: WorstCase, title: str, folder: Path) -> Path:
    """Draw the worst loss of each policy over the levels, with two standard errors, into a folder; return the file.

    It is an SVG; the same table gives the same bytes.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for p, name in enumerate(found.names):
        colour, mark = COLOURS[p % len(COLOURS)], MARKS[p // len(COLOURS) % len(MARKS)]
        spread = 2.0 * found.stderr[p]
        axes.errorbar(found.levels, found.losses[p], yerr=spread, label=name, color=colour, marker=mark, capsize=2)
    axes.set(xscale="log", xlabel="difficulty r", ylabel="worst loss found", title=title)
    axes.set_ylim(bottom=0.0)
    axes.xaxis.set_major_locator(FixedLocator(list(found.levels)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{level:g}" for level in found.levels])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    file = folder / "worst_losses.svg"
    with matplotlib.rc_context({"svg.hashsalt": "onearm"}):
        figure.savefig(file, metadata={"Date": None})
    return file
