"""`onearm.simulate`: policies against an environment, and what they earned, as a small object that shows itself."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...engine.errors import InvalidInput, RewardWarning, as_seen
from ...engine.rewards import said_of
from ...engine.simulation import Curves, check_replications
from ...engine.simulation import simulate as run_experiment
from ...engine.vocabulary import Environment, Policy
from ...envs import catalog as envs
from ...policies import catalog
from ..console import finite, progress, tell_what_compiles
from ..simulated import contender, horizon_of, title_of, told
from ..table import Column, Table
from .arguments import integer_of, policy_of, truth_of
from .frames import columns_of, frame_of
from .page import as_html, as_text
from .pictures import pictures
from .spelling import as_arguments

FIGURES = ("reward_mean", "reward_stderr", "regret_mean", "regret_stderr", "loss_mean", "loss_stderr")
TABLES = ("runs", "differences")  # of the data
LEFT_OUT = ("params", "losses", "changes", "outside")  # of a DataFrame: what is no number or text


@dataclass(frozen=True, repr=False)
class Runs:
    """What policies earned in an environment, over replications.

    In a notebook it shows itself as a table; `repr` is the same as text.
    """

    data: dict[str, Any]  # the JSON of the command
    names: list[str]  # of the policies, as they were asked for
    curves: tuple[Curves, ...] = field(compare=False)  # of each policy
    notes: list[str]  # what to know of them

    def to_dict(self) -> dict[str, Any]:
        """Return everything that was found, as `onearm simulate --json` prints it; what is no finite number is None."""
        return copy.deepcopy(self.data)

    def to_frame(self, table: str = "runs") -> Any:
        """Return a DataFrame of polars or pandas with a row for each policy.

        `table` is runs, or differences: how far each policy is behind the best one, where replications tell.
        """
        if table not in TABLES or not self.data.get(table):
            there = [name for name in TABLES if self.data.get(name)]
            raise InvalidInput("no_such_table", f"there is no table {table!r}: there are {', '.join(there)}")
        if table == "differences":
            called = dict(zip((catalog.label(run.policy) for run in self.curves), self.names, strict=True))
            rows = [row | {name: called[row[name]] for name in ("policy", "best")} for row in self.data[table]]
            return frame_of(columns_of(rows), None)
        rows = [{"label": name} | run for name, run in zip(self.names, self.data["runs"], strict=True)]
        return frame_of(columns_of(rows, LEFT_OUT), None)

    def plot(self, ax: Any = None) -> Any:
        """Draw the regret of each policy, with a band of two standard errors; return the axes of matplotlib."""
        return pictures().draw_runs(list(zip(self.names, self.curves, strict=True)), ax)

    def __repr__(self) -> str:
        """Return a table as text."""
        return as_text([Table(self._title, self._columns())], self.notes)

    def _repr_html_(self) -> str:
        return as_html([Table(self._title, self._columns())], self.notes)

    @property
    def _title(self) -> str:
        return title_of(self.curves[0])

    def _columns(self) -> list[Column]:
        runs = self.data["runs"]

        def numbers(name: str) -> list[str]:
            return ["" if run.get(name) is None else f"{run[name]:.5g}" for run in runs]

        shown = [name for name in FIGURES if any(run.get(name) is not None for run in runs)]
        return [
            Column("label", self.names, is_number=False),
            *(Column(name.replace("_mean", "").replace("_stderr", " +-"), numbers(name)) for name in shown),
        ]


def simulate(
    env: str | Environment,
    policy: str | Policy | Sequence[str | Policy],
    *,
    horizon: int | None = None,
    passes: int | None = None,
    replications: int = 1,
    seed: int = 0,
    propensities: bool = False,
) -> Runs:
    """Run policies against an environment and compare reward and regret, as `onearm simulate` does.

    `env` and each `policy` are named as on the command line, or made. Every argument is the option of its name.

    >>> import onearm
    >>> found = onearm.simulate('bernoulli:{"mean":[0.1,0.9]}', ["ucb1", "uniform"], horizon=1000, seed=1)
    >>> first, second = found.to_dict()["runs"]
    >>> first["regret_mean"] < second["regret_mean"]
    True
    """
    world = envs.parse(env) if isinstance(env, str) else env
    if not isinstance(world, Environment):
        raise InvalidInput("bad_env", f"env is {as_seen(env)}: name one of onearm.envs, or hand one over")
    asked: list[Any] = [*policy] if isinstance(policy, Sequence) and not isinstance(policy, str) else [policy]
    propensities = truth_of(propensities, "propensities")
    if not asked:
        raise InvalidInput("bad_simulation", "no policy is named: name at least one policy")
    replications, seed = integer_of(replications, "replications"), integer_of(seed, "seed")
    check_replications(replications)
    names = [catalog.label(policy_of(each).spec) for each in asked]
    contenders = [contender(each, propensities) if isinstance(each, str) else each for each in asked]
    length, times = (
        None if given is None else integer_of(given, what) for given, what in ((horizon, "horizon"), (passes, "passes"))
    )
    with as_arguments(simulate):
        steps = horizon_of(world, length, times)
    tell_what_compiles()
    with progress("simulating", steps * replications * len(contenders), "trials") as advance, warnings.catch_warnings():
        warnings.simplefilter("ignore", RewardWarning)  # it becomes a note
        runs = tuple(
            run_experiment(each, world, horizon=steps, replications=replications, seed=seed, progress=advance)
            for each in contenders
        )
    outside = [said_of(run.outside, run.policy["name"], run.env["name"]) for run in runs if run.outside is not None]
    return Runs(finite(told(runs)), names, runs, outside)
