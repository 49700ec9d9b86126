"""Small problems whose best policy is known: linear programmes over states of counts, and what ships beside them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.losses import exact_losses, grid_instances
from onearm.engine.hardness.exact.optimum import robust
from onearm.engine.hardness.exact.states import uniform
from onearm.engine.problem import query_problem
from onearm.engine.task import Array, Task, best_arm, thresholds
from onearm.engine.trained.tables import TablePolicy
from onearm.policies import artefacts

CHANCES = [0.1, 0.3, 0.5, 0.7, 0.9]
SIGNS = [-0.8, -0.4, 0.4, 0.8]


class Small(NamedTuple):
    """A problem, the grid of its means, and what is known of its optimum."""

    problem: str
    task: Task
    budget: int
    grid: list[float]
    levels: list[float]
    minimax: list[float]
    gap: float
    uniform_gap: float


KNOWN = (
    Small(
        "arms K=2 T=10",
        best_arm(2, "bits"),
        10,
        CHANCES,
        [3.5, 13.0, 60.0],
        [0.000891, 0.098809, 0.259639],
        0.0,
        0.002957,
    ),
    Small(
        "arms K=2 T=6",
        best_arm(2, "bits"),
        6,
        CHANCES,
        [3.5, 13.0, 60.0],
        [0.008560, 0.163080, 0.312500],
        0.0,
        0.002000,
    ),
    Small(
        "arms K=3 T=6",
        best_arm(3, "bits"),
        6,
        CHANCES,
        [8.0, 20.0, 80.0],
        [0.065341, 0.290676, 0.476222],
        0.005501,
        0.049059,
    ),
    Small(
        "arms K=3 T=6, simple regret",
        best_arm(3, "bits", "simple_regret"),
        6,
        CHANCES,
        [8.0, 20.0, 80.0],
        [0.042232, 0.116270, 0.116270],
        0.002473,
        0.030568,
    ),
    Small(
        "thresholds d=3 T=6",
        thresholds(3, loss="identification"),
        6,
        SIGNS,
        [4.0, 8.0, 30.0],
        [0.065826, 0.104199, 0.385344],
        0.018463,
        0.158981,
    ),
    Small(
        "thresholds d=4 T=5",
        thresholds(4, loss="identification"),
        5,
        SIGNS,
        [6.0, 12.0, 30.0],
        [0.211754, 0.344344, 0.478181],
        0.026656,
        0.140232,
    ),
    Small(
        "thresholds d=4 T=5, simple regret",
        thresholds(4),
        5,
        SIGNS,
        [6.0, 12.0, 30.0],
        [0.248868, 0.289185, 0.325230],
        0.018616,
        0.122025,
    ),
)


def exact_rows() -> list[dict[str, Any]]:
    """Solve every small problem, and return what was found beside what is known."""
    return [row_of(small) for small in KNOWN]


def row_of(small: Small) -> dict[str, Any]:
    """Return the optimum of one problem, what uniform play loses, and the table that ships for it, if one does."""
    found = robust(small.task, small.budget, small.grid, small.levels)
    offsets = np.asarray(found.offsets)
    even = level_losses(small, uniform(small.task, small.budget))
    table = shipped_table(small)
    known = [*small.minimax, small.gap, small.uniform_gap]
    mine = [*offsets, found.gap, (even - offsets).max()]
    return {
        "problem": small.problem,
        "budget": small.budget,
        "levels": small.levels,
        "minimax": [float(loss) for loss in offsets],
        "robust": [float(loss) for loss in found.losses],
        "gap": float(found.gap),
        "uniform_gap": float((even - offsets).max()),
        "table_gap": None if table is None else float((level_losses(small, table) - offsets).max()),
        "difference": float(np.abs(np.array(known) - mine).max()),
    }


def level_losses(small: Small, policy: TablePolicy) -> Array:
    """Return the worst loss of a policy at each level, exactly."""
    return np.array(
        [exact_losses(policy, grid_instances(small.task, small.grid, level)).max() for level in small.levels]
    )


def shipped_table(small: Small) -> TablePolicy | None:
    """Return the table that ships for a problem."""
    try:
        artefact = artefacts.fitting(query_problem(small.task, small.budget))
    except InvalidInput:
        return None
    arrays = artefact.arrays
    return TablePolicy(artefact.task, artefact.budget, arrays["query"], arrays["recommendation"])
