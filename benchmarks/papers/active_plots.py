"""The plots of actively_learn.py: the worst loss found over the difficulty, and how far from the best known that is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from active_settings import SETTINGS, contenders
from drawing import apart, draw_all, grid

Rows = list[dict[str, Any]]
OUT_OF_SIGHT = 3.0  # times the loss of uniform play: what is worse says no more by how much


def draw(result: dict[str, Any], folder: Path) -> list[str]:
    """Draw all that was run into a folder; return the files."""
    figures: dict[str, Callable[[], Any]] = {}
    for name in result["gap"]:
        rows = [row for row in result["worst_case"] if row["task"] == name]
        figures[f"active_{name}.svg"] = partial(over_levels, name, rows)
    return draw_all(figures, folder)


def over_levels(name: str, rows: Rows) -> Any:
    """Draw the worst loss at each level, and on the right how much more it is than the least of all."""
    setting = SETTINGS[name]
    figure, axes = grid(1, 2, 6.4, 5.0)
    levels = np.array(setting.levels)
    losses = {
        each.key: np.array([row["loss"] for row in rows if row["policy"] == each.key]) for each in contenders(setting)
    }
    best = np.min(list(losses.values()), axis=0)
    limit = OUT_OF_SIGHT * losses["uniform_budget"].max()
    for place, (panel, of) in enumerate(((axes[0][0], 0.0), (axes[0][1], best))):
        ends = []
        for each in contenders(setting):
            y = losses[each.key] - of
            if losses[each.key].max() > limit:
                continue
            style = {"linestyle": "--" if each.dashed else "-", "linewidth": 2.2 if each.key == "robust" else 1.4}
            panel.plot(levels, y, color=each.colour, marker="o", markersize=3.5, **style)
            ends.append((float(y[-1]), each.label, each.colour))
        panel.set(xscale="log", xlabel="difficulty r: no instance is harder")
        panel.set_xticks(levels, [f"{level:g}" for level in levels])
        panel.minorticks_off()
        panel.grid(alpha=0.25)
        panel.set_ylim(bottom=0.0)
        if place:
            write_at_ends(panel, levels, ends)
    axes[0][0].set_ylabel("worst loss found")
    axes[0][1].set_ylabel("more than the least of all policies")
    axes[0][0].set_title(setting.title, fontsize="medium")
    hidden = [each.label for each in contenders(setting) if losses[each.key].max() > limit]
    words = textwrap.fill(f"not shown, far above: {'; '.join(hidden)}", 80) if hidden else ""
    axes[0][1].set_title(words, fontsize="small")
    return figure


def write_at_ends(axes: Any, levels: Any, ends: list[tuple[float, str, str]]) -> None:
    """Write what each curve is at its right end, apart from each other."""
    high = axes.get_ylim()[1]
    ends = sorted(ends)
    places = apart([y for y, _, _ in ends], 0.047 * high, 0.98 * high)
    for place, (_, label, colour) in zip(places, ends, strict=True):
        axes.annotate(label, (levels[-1] * 1.05, place), color=colour, fontsize="small", va="center")
    axes.set_xlim(right=levels[-1] * (levels[-1] / levels[0]) ** 0.62)
