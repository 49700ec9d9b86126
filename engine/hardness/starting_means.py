"""Where an adversary starts: random means of a level of difficulty, of many shapes.

For arms two in five have one good arm and nearly equal others, the rest are normal. For other tasks a hypothesis is
drawn, and means that say so: all equally loud or each with its own voice, one in ten of them wrong.
Shapes are scaled until their difficulty is between a quarter of the level and the level. All constants are ours.
"""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInput
from ..task import Array, Task
from .complexity import difficulty

BOX = {"normal": 3.0, "signs": 0.98, "bits": 0.49}  # how far a mean may be from the middle
MIDDLE = {"normal": 0.0, "signs": 0.0, "bits": 0.5}
_TRIES = 200
_FLIPPED = 0.1


def starting_means(task: Task, level: float, n: int, rng: np.random.Generator) -> Array:
    """Return n random means, float64[n, queries], in the task's box with level / 4 < C <= level.

    Raises `InvalidInput` where none are found.
    """
    found: list[Array] = []
    hardest = 0.0
    for _ in range(_TRIES):
        means = _scaled(task, level, _shapes(task, max(n, 64), rng), rng)
        hard = difficulty(task, means)
        found.extend(means[(0.25 * level < hard) & (hard <= level)])
        hardest = min(float(hard.min()), hardest or np.inf)
        if len(found) >= n:
            return np.array(found[:n])
    raise InvalidInput(
        "no_such_level",
        f"no means with a difficulty from {0.25 * level:g} to {level:g} were found: the easiest of {task.kind} "
        f"that were seen have {hardest:.4g}; take a larger level",
    )


def _shapes(task: Task, count: int, rng: np.random.Generator) -> Array:
    """Return random directions, float64[count, queries], the largest number of each 1 in size."""
    if task.kind == "arms":
        one = np.eye(task.n_queries)[rng.integers(task.n_queries, size=count)]
        noise = rng.normal(size=(count, task.n_queries))
        shapes = np.where(rng.random((count, 1)) < 0.4, one + 0.1 * noise, noise)
        shapes -= shapes.mean(axis=1, keepdims=True)
    else:
        row = task.table[rng.integers(task.n_hypotheses, size=count)]
        middle = 0.5 * (task.table.min(axis=0) + task.table.max(axis=0))
        loud = np.where(rng.random((count, 1)) < 0.5, 1.0, rng.random((count, task.n_queries)))
        wrong = rng.random((count, task.n_queries)) < _FLIPPED
        shapes = np.sign(row - middle) * loud * np.where(wrong, -1.0, 1.0)
    return shapes / np.maximum(np.abs(shapes).max(axis=1, keepdims=True), 1e-300)


def _scaled(task: Task, level: float, shapes: Array, rng: np.random.Generator) -> Array:
    """Return means of the shapes, scaled to a difficulty of the level or up to four times easier, within the box."""
    largest = BOX[task.answers]
    centre = MIDDLE[task.answers]
    if centre and task.kind != "arms":  # a shift changes the difficulty: no scale is known to fit
        return centre + shapes * rng.uniform(0.0, largest, (len(shapes), 1))
    hard = difficulty(task, shapes)[:, None]
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(np.where(np.isfinite(hard), hard, 0.0) / (level * rng.uniform(0.25, 1.0, hard.shape)))
    return centre + shapes * np.minimum(scale, largest)
