"""Pictures of results, on axes of matplotlib. Its colours are those of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ...engine.errors import InvalidInput, as_seen
from ...engine.simulation import Curves
from ..offline.report.canvas import COLOURS, MUTED


def draw_estimates(rows: Sequence[dict[str, Any]], logged_mean: float, ax: Axes | None = None) -> Axes:
    """Draw a dot and a bar for each estimate, the first on top, and the log's own mean as a line."""
    axes = _axes(ax, (7.0, 1.0 + 0.35 * len(rows)))
    ways = list(dict.fromkeys((row["method"], row["interval"]) for row in rows))
    for place, row in enumerate(rows):
        if row["value"] is None:
            continue
        colour = COLOURS[ways.index((row["method"], row["interval"])) % len(COLOURS)]
        if row["low"] is not None and row["high"] is not None:
            axes.hlines(place, row["low"], row["high"], color=colour, lw=2)
        axes.plot(row["value"], place, "o", color=colour)
    axes.axvline(logged_mean, color=MUTED, lw=1, ls="--", label="the log")
    named = [" ".join([row["target"], *([] if len(ways) == 1 else [row["method"], row["interval"]])]) for row in rows]
    axes.set_yticks(range(len(rows)), named)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("reward per decision")
    axes.legend(frameon=False)
    return axes


def draw_runs(runs: Sequence[tuple[str, Curves]], ax: Axes | None = None) -> Axes:
    """Draw the mean regret of each policy over trials, with two standard errors; the reward where it has none."""
    axes = _axes(ax, (7.0, 4.0))
    known = all(run.regret_kind is not None for _, run in runs)
    for place, (label, run) in enumerate(runs):
        curves = run.regret if known else run.reward
        mean, colour = curves.mean(axis=0), COLOURS[place % len(COLOURS)]
        axes.plot(run.t, mean, color=colour, label=label)
        if len(curves) > 1:
            spread = 2.0 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
            axes.fill_between(run.t, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
    axes.set_xscale("log")
    axes.set_xlabel("trials")
    axes.set_ylabel("loss" if known and runs[0][1].task else "regret" if known else "reward")
    axes.legend(frameon=False)
    return axes


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise InvalidInput("bad_axes", f"ax is {as_seen(ax)}: give axes of matplotlib, as plt.gca(), or leave it out")
    return ax
