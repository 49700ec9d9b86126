"""What is to be trained: a task, a budget, levels of difficulty and a seed. Two equal plans give equal policies.

>>> from onearm.engine.task import thresholds
>>> Plan(thresholds(10), 20, (8.0, 16.0, 32.0, 64.0)).name
'thresholds-10-20'
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...engine.errors import InvalidInput, as_seen
from ...engine.problem import SEED_MAX
from ...engine.task import Task
from .recipe import Recipe, level_recipe, prior_recipe, refined_recipe, robust_recipe

LEVELS_MAX, STARTS_MAX, ITERATIONS_MAX, BUDGET_MAX = 8, 16, 1_000_000, 1000
QUERIES_MAX, HYPOTHESES_MAX = 200, 1000  # of what is trained
PRIOR = "prior"  # the run for a prior
PROCEDURE = 2  # of the training itself: 1 was of PyTorch, which had other first weights and rounded otherwise
_USUAL = {
    "arms": ("normal", "identification"),
    "thresholds": ("signs", "simple_regret"),
    "hypotheses": ("signs", "identification"),
}


@dataclass(frozen=True)
class Plan:
    """Everything that decides what comes out. Raises `InvalidInput` where it cannot be trained."""

    task: Task
    budget: int  # T, queries
    levels: tuple[float, ...]  # r_k, ascending
    seed: int = 0
    starts: int = 2  # runs of the second phase, of which the best is kept
    iterations: int | None = None  # of each run; by default the recipe's
    compared: bool = False  # keep what the policy is compared with, too: those of one level, and one for a prior

    def __post_init__(self) -> None:
        _check_whole("budget", self.budget, 1, BUDGET_MAX)
        _check_whole("seed", self.seed, 0, SEED_MAX)
        _check_whole("starts", self.starts, 0, STARTS_MAX)
        if self.iterations is not None:
            _check_whole("iterations", self.iterations, 1, ITERATIONS_MAX)
        task, levels = self.task, self.levels
        if not 2 <= task.n_queries <= QUERIES_MAX or task.n_hypotheses > HYPOTHESES_MAX:
            raise InvalidInput(
                "bad_task",
                f"the task has {task.n_queries} queries and {task.n_hypotheses} hypotheses: 2 to {QUERIES_MAX} queries "
                f"and up to {HYPOTHESES_MAX} hypotheses can be trained for",
            )
        if task.is_shifted:
            raise InvalidInput(
                "bad_task",
                "answers are bits: networks for thresholds and tables read signs; take --answers signs, and send "
                "2 y - 1",
            )
        ascending = all(low < high for low, high in zip((0.0, *levels), levels, strict=False))
        if not 1 <= len(levels) <= LEVELS_MAX or not ascending or not levels[-1] <= 1e9:
            raise InvalidInput(
                "bad_levels",
                f"the levels are {list(levels)}: 1 to {LEVELS_MAX} numbers that ascend, above 0 and up to 1e9",
            )

    @property
    def name(self) -> str:
        """Return the name of the artefact."""
        return name_of(self.task, self.budget)

    @property
    def architecture(self) -> str:
        """Return the name and version under which an artefact keeps the network of the task."""
        return "arm_net/1" if self.task.kind == "arms" else "flat_net/1"

    @property
    def level_runs(self) -> tuple[str, ...]:
        """Return the names of the runs of the first phase, one a level."""
        return tuple(f"level-{k}" for k in range(1, len(self.levels) + 1))

    @property
    def runs(self) -> tuple[str, ...]:
        """Return the names of all runs, in their order."""
        return (*self.level_runs, *self.robust_runs, *self.refined_runs, *((PRIOR,) if self.compared else ()))

    @property
    def robust_runs(self) -> tuple[str, ...]:
        """Return the names of the runs of the second phase; a single level needs none."""
        return tuple(f"robust-{s}" for s in range(1, self.starts + 1)) if len(self.levels) > 1 else ()

    @property
    def refined_runs(self) -> tuple[str, ...]:
        """Return the names of the runs that go on from those of the second phase, where the task has such."""
        refined = refined_recipe(self.task) is not None
        return tuple(run.replace("robust", "refined") for run in self.robust_runs) if refined else ()

    def begins_with(self, run: str) -> str | None:
        """Return the run whose weights a run begins with; None where it begins anew."""
        return run.replace("refined", "robust") if run in self.refined_runs else None

    def recipe(self, run: str) -> Recipe:
        """Return how a run goes."""
        refined = refined_recipe(self.task)
        if run in self.refined_runs and refined is not None:
            recipe = refined
        else:
            made = prior_recipe if run == PRIOR else robust_recipe if run in self.robust_runs else level_recipe
            recipe = made(self.task)
        return recipe if self.iterations is None else replace(recipe, iterations=self.iterations)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        rest = {"starts": self.starts, "iterations": self.iterations, "compared": self.compared}
        return {
            "procedure": PROCEDURE,
            "task": self.task.to_json(),
            "budget": self.budget,
            "levels": list(self.levels),
            "seed": str(self.seed),
            **rest,
        }

    @staticmethod
    def from_json(body: dict[str, Any]) -> Plan:
        """Return the plan of `to_json`."""
        task, levels = Task.from_json(body["task"]), tuple(map(float, body["levels"]))
        rest = {name: body[name] for name in ("starts", "iterations", "compared")}
        return Plan(task, body["budget"], levels, int(body["seed"]), **rest)


def name_of(task: Task, budget: int) -> str:
    """Return the name of a policy: kind-queries-budget, and what is not usual of the task."""
    words = zip((task.answers, task.loss), _USUAL[task.kind], strict=True)
    return "-".join([task.kind, str(task.n_queries), str(budget), *(word for word, usual in words if word != usual)])


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(f"bad_{name}", f"{name} is {as_seen(value)}: it must be a whole number from {low} to {high}")
