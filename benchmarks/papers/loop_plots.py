"""The plot of loop.py: regret over decisions, a panel a world."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from drawing import draw_all, grid
from loop_runs import Run

COLUMNS = 3
Worlds = dict[str, dict[str, Run]]  # by the world, and the policy


def draw(found: Worlds, looks: list[int], folder: Path) -> list[str]:
    """Draw what was run into a folder; return the files."""
    return draw_all({"loop_regret.svg": partial(over_decisions, found, looks)}, folder) if found else []


def over_decisions(found: Worlds, looks: list[int]) -> Any:
    """Return mean regret over decisions, both on logarithmic scales."""
    rows = math.ceil(len(found) / COLUMNS)
    figure, axes = grid(rows, COLUMNS, 5.2, 3.6)
    for i, (world, runs) in enumerate(found.items()):
        panel = axes[i // COLUMNS][i % COLUMNS]
        for policy, run in runs.items():
            panel.plot(looks, run.regret.mean(axis=0), label=policy, linewidth=1.2)
        panel.set_title(world)
        panel.set_xscale("log")
        panel.set_yscale("symlog", linthresh=1.0)
        panel.set_xlabel("decisions")
        panel.set_ylabel("regret")
    axes[0][0].legend(fontsize=6)
    return figure
