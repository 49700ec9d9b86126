"""The plot of loop.py: regret over decisions, a panel a world."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from drawing import draw_all, grid
from loop_runs import Run

COLUMNS = 3
COLOURS, STYLES = 10, ("-", "--", ":")  # of lines: a colour comes again in another style
Worlds = dict[str, dict[str, Run]]  # by the world, and the policy


def draw(found: Worlds, looks: list[int], folder: Path) -> list[str]:
    """Draw what was run into a folder; return the files."""
    return draw_all({"loop_regret.svg": partial(over_decisions, found, looks)}, folder) if found else []


def over_decisions(found: Worlds, looks: list[int]) -> Any:
    """Return mean regret over decisions, both on logarithmic scales; the names stand beside the last world."""
    rows = math.ceil((len(found) + 1) / COLUMNS)
    figure, axes = grid(rows, COLUMNS, 5.2, 3.6)
    panels = [panel for row in axes for panel in row]
    for panel, (world, runs) in zip(panels, found.items(), strict=False):
        for i, (policy, run) in enumerate(runs.items()):
            style = STYLES[i // COLOURS % len(STYLES)]
            panel.plot(looks, run.regret.mean(axis=0), style, color=f"C{i % COLOURS}", label=policy, linewidth=1.2)
        panel.set_title(world)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("decisions")
        panel.set_ylabel("regret")
    for panel in panels[len(found) :]:
        panel.axis("off")
    panels[len(found)].legend(*panels[0].get_legend_handles_labels(), fontsize=9, ncols=2, loc="center", frameon=False)
    return figure
