"""Simulations as people ask for them, and what was found as JSON: for the command line, and for Python.

Policies that were run together met the same worlds: replication i of each has the same draws of the environment. So
they are compared pair by pair.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..engine.errors import InvalidInput, counted
from ..engine.simulation import Curves
from ..engine.vocabulary import Array, Environment, Policy
from ..policies import catalog
from .experiment.worlds import as_found


def contender(text: str, propensities: bool) -> Policy:
    """Return a policy; one that can do without propensities does, unless they are asked for, here or in its params."""
    policy = _parsed(text)
    drawn = _drawn(policy.spec)
    if propensities or '"propensities"' in text or drawn == policy.spec:
        return policy
    with contextlib.suppress(InvalidInput):  # a wrapper that needs the law of the policy inside
        return catalog.from_spec(drawn)
    return policy


def horizon_of(env: Environment, horizon: int | None, passes: int | None) -> int:
    """Return how many trials a run has: as many as asked for, or so many passes of a table."""
    once = env.problem.horizon
    if horizon is not None and passes is not None:
        raise InvalidInput("bad_horizon", "both --horizon and --passes are given: give one of them")
    if passes is not None and once is None:
        raise InvalidInput("bad_horizon", f"{env.name} is no table that could be passed through: give --horizon")
    if horizon is None and once is None:
        raise InvalidInput("bad_horizon", f"{env.name} has no end of its own: give --horizon")
    return horizon if horizon is not None else int(once or 1) * (1 if passes is None else passes)


TOLD_APART = 0.05  # the p value below which a policy is told apart from the best


class Difference(NamedTuple):
    """How much a policy is behind the best of those that were run with it."""

    policy: str
    best: str
    of: str  # regret, reward or loss
    mean: float  # how much more regret or loss it had, or how much less reward a trial
    stderr: float
    p: float  # of no difference, by the paired t-test; Holm's, where several are compared with the best


def title_of(run: Curves) -> str:
    """Return where it was run, how long, and how often."""
    return f"{run.env['name']}, {counted(run.horizon, 'trial')}, {counted(len(run.reward), 'replication')}"


def told(runs: Sequence[Curves]) -> dict[str, Any]:
    """Return what policies did that were run together, as JSON."""
    data: dict[str, Any] = {"runs": [summary(run) for run in runs]}
    if found := differences(runs):
        data["differences"] = [each._asdict() for each in found]
    return data


def differences(runs: Sequence[Curves]) -> list[Difference]:
    """Return how far each policy is behind the best one; none for a single policy, or for one replication.

    The test supposes that differences are about normal, or replications many. That the best one was chosen by the same
    figures makes p values a little too small where several are about as good.
    """
    if len(runs) < 2 or min(len(run.reward) for run in runs) < 2:
        return []
    of = "loss" if runs[0].task else "regret" if all(run.regret_kind is not None for run in runs) else "reward"
    behind = [-run.reward[:, -1] / run.horizon if of == "reward" else run.regret[:, -1] for run in runs]
    labels = [catalog.label(run.policy) for run in runs]
    best = int(np.argmin([each.mean() for each in behind]))
    others = [i for i in range(len(runs)) if i != best]
    tested = {i: _paired(behind[i] - behind[best]) for i in others}
    p, least = dict[int, float](), 0.0
    for rank, i in enumerate(sorted(others, key=lambda i: tested[i][2])):
        least = p[i] = max(least, min(1.0, (len(others) - rank) * tested[i][2]))
    return [Difference(labels[i], labels[best], of, *tested[i][:2], p[i]) for i in others]


def _paired(more: Array) -> tuple[float, float, float]:
    """Return the mean of paired differences, float64[r], its standard error, and the p value of no difference."""
    mean, stderr = float(more.mean()), float(more.std(ddof=1) / math.sqrt(len(more)))
    if stderr == 0.0:
        return mean, stderr, 1.0 if mean == 0.0 else 0.0
    from ..engine.estimate.tails import t_tails

    return mean, stderr, t_tails(mean / stderr, len(more) - 1)


def summary(run: Curves) -> dict[str, Any]:
    """Return what one policy did: means over the replications, and their standard errors."""
    final = run.regret[:, -1]
    n = len(final)
    if run.task:
        return _of_task(run)
    known = run.regret_kind is not None
    return {
        "policy": run.policy["name"],
        "params": run.policy["params"],
        "horizon": run.horizon,
        "replications": n,
        "reward_mean": float(run.reward[:, -1].mean() / run.horizon),
        "reward_stderr": float(run.reward[:, -1].std(ddof=1) / math.sqrt(n) / run.horizon) if n > 1 else None,
        "regret_mean": float(final.mean()) if known else None,
        "regret_stderr": float(final.std(ddof=1) / math.sqrt(n)) if known and n > 1 else None,
        "regret_kind": run.regret_kind,
        **certificate_of(run),
        **_outside(run),
        **({} if run.changes is None else {"changes": [msgspec.to_builtins(as_found(each)) for each in run.changes]}),
        "steps_per_second": run.steps_per_second,
    }


def _parsed(text: str) -> Policy:
    """Return the policy of that name; a function of a batch is refused as what it is."""
    try:
        return catalog.parse(text)
    except InvalidInput as refusal:
        if refusal.code != "missing_param":
            raise
        from .offline.candidates import policy_named

        return policy_named(text)


def _drawn(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of a policy that draws without propensities where it can, also inside a wrapper."""
    params = dict(spec["params"])
    if "propensities" in params:
        params["propensities"] = False
    if isinstance(inner := params.get("policy"), dict):
        params["policy"] = _drawn(inner)
    return {**spec, "params": params}


def _outside(run: Curves) -> dict[str, Any]:
    """Return how many rewards the policy is not made for, where there are some."""
    if (seen := run.outside) is None:
        return {}
    count, least, greatest = int(seen.count[0]), float(seen.least[0]), float(seen.greatest[0])
    return {"outside": {"range": [seen.low, seen.high], "rewards": count, "least": least, "greatest": greatest}}


def _of_task(run: Curves) -> dict[str, Any]:
    """Return what is told of a task: the loss of what is recommended when the budget is spent."""
    loss = run.regret[:, -1]
    n = len(loss)
    return {
        "policy": run.policy["name"],
        "params": run.policy["params"],
        "horizon": run.horizon,
        "replications": n,
        "loss_mean": float(loss.mean()),
        "loss_stderr": float(loss.std(ddof=1) / math.sqrt(n)) if n > 1 else None,
        "losses": {int(t): float(mean) for t, mean in zip(run.t, run.regret.mean(axis=0), strict=True)},
        "steps_per_second": run.steps_per_second,
    }


def certificate_of(run: Curves) -> dict[str, float | str]:
    """Return what a policy proves of its regret, where it proves anything: means over the replications."""
    if np.isnan(run.bound[:, -1]).all():
        return {}
    supposes = {} if run.supposes is None else {"certificate_supposes": run.supposes}
    return {
        "certificate_mean": float(run.bound[:, -1].mean()),
        **supposes,
        "variation_mean": float(run.variation.mean()),
    }
