"""What is earned over time in worlds that change, with the change marked: from results/changes.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from drawing import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, draw_all, grid

SHOWN = ("digits moved", "two digits swapped", "five arms reversed", "day and night", "LED", "RandomRBFDrift")
LINES = {  # who: the colour, and how wide the line is
    "told": (GREY, 1.0),
    "vw_best": (PURPLE, 1.2),
    "best_half_life": (GREEN, 1.2),
    "stationary_default": (ORANGE, 1.4),
    "default": (BLUE, 2.0),
}
MANY = 10  # changes: more are not marked


def plots(result: dict[str, Any], folder: Path) -> list[str]:
    """Draw all, and return the files."""
    return draw_all({"changes.svg": lambda: over_time(result["worlds"])}, folder)


def over_time(worlds: dict[str, Any]) -> Any:
    """Draw the mean reward between two stops, a panel for each world."""
    figure, axes = grid(2, 3, 4.4, 3.0)
    for ax, name in zip(axes.flat, SHOWN, strict=True):
        of = worlds[name]
        stops = np.array([0, *of["stops"]])
        for who, (colour, width) in LINES.items():
            if who in of["sums"]:
                rates = np.diff([0.0, *of["sums"][who]]) / np.diff(stops)
                long = np.diff(stops) >= 0.5 * np.median(np.diff(stops))  # between stops that are too near is noise
                middle = (stops[1:] + stops[:-1]) / 2
                ax.plot(middle[long], rates[long], color=colour, linewidth=width, label=who.replace("_", " "))
        if len(of["changes"]) <= MANY:
            for t in of["changes"]:
                ax.axvline(t, color=DARK, linewidth=0.8, linestyle=":")
        ax.set(title=name, ylim=(0.0, 1.02 * of["best"]), xlim=(0, stops[-1]))
        ax.set_xlabel("decisions")
    axes[0, 0].set_ylabel("earned a decision")
    axes[1, 0].set_ylabel("earned a decision")
    axes[0, 0].legend(fontsize="small", frameon=False, loc="lower left")
    return figure
