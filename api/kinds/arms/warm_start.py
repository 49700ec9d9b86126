"""Rewarded decisions of another policy, as an engine of arms can learn them: checked before anything is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....engine.errors import InvalidInput, as_seen
from ....engine.problem import WAY_OUT, check_reward
from ....engine.rewards import said_outside
from ....engine.vocabulary import Columns, Features, Problem
from ...experiment.intake import check_propensity
from ...log_files import read_log


def rewarded(log: Any, problem: Problem, limits: tuple[float, float]) -> Columns:
    """Return the rows of a log, a path or columns, a row each decision with its reward.

    Raises `InvalidInput` ("bad_log") where they do not fit the problem, or a reward lies outside of its limits.
    """
    if not isinstance(log, (Columns, str, Path)):
        raise InvalidInput("bad_log", f"log is {as_seen(log)}: give the path of a file, or columns")
    rows = log if isinstance(log, Columns) else read_log(Path(log), None).table
    _check_fit(problem, rows)
    for row, (propensity, reward) in enumerate(zip(rows.propensity.tolist(), rows.reward.tolist(), strict=True)):
        try:
            check_propensity(propensity)
            check_reward(reward)
        except InvalidInput as error:
            raise InvalidInput("bad_log", f"row {row} of the log: {error}") from None
    if (outside := said_outside(rows.reward, limits)) is not None:
        raise InvalidInput("bad_log", f"of the log {outside}: {WAY_OUT}")
    return rows


def _check_fit(problem: Problem, rows: Columns) -> None:
    """Refuse a log of other arms, or of contexts of another kind or shape."""
    named, k = isinstance(rows.context, Features), rows.available.shape[1]
    kind = "named" if named else "actions" if rows.context.ndim == 3 else "dense"
    if kind != problem.layout:
        raise InvalidInput("bad_log", f"the log's contexts are {kind}: this engine reads {problem.layout} ones")
    if k > problem.n_arms or (kind == "dense" and k < problem.n_arms):
        raise InvalidInput("bad_log", f"the log has {k} arms: this engine has {problem.n_arms}")
    size = int(rows.context.index.max(initial=0)) + 1 if named else rows.context.shape[-1]
    if size > problem.context_shape[-1] or (not named and size < problem.context_shape[-1]):
        raise InvalidInput("bad_log", f"the log's contexts do not have the shape {list(problem.context_shape)}")
