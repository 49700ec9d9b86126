"""Why a policy decides as it does: a ranking of the actions, and what moved the score of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine.vocabulary import Array, Instance, Policy
from ...policies import catalog
from .definition import Definition
from .explanation_schemas import Contribution, Explanation, Ranked, Reasons
from .intake import values
from .unknown import or_null

EXPLAINING = "one with a model of the rewards, like fourier_softmax, or an index, like ucb1"
ACTIONS_EXPLAINED = 100  # the highest of the ranking
FEATURES_EXPLAINED = 10  # those that moved the score most


def wrapped(spec: dict[str, Any]) -> str:
    """Return the name of a policy, and in brackets that of the one inside.

    >>> wrapped({"name": "adaptive", "params": {"policy": {"name": "thompson_any", "params": {}}, "look": 0.001}})
    'adaptive(thompson_any)'
    """
    inner = _inside(spec)
    name: str = spec["name"]
    return name if inner is None else f"{name}({wrapped(inner)})"


def notes_on(spec: Definition) -> list[str]:
    """Return in words what a policy costs that never draws, and what one supposes that is made for a range."""
    return [*_never_draws(spec.policy), *_supposes_a_range(spec)]


def _never_draws(policy: Policy) -> list[str]:
    inner = _innermost(policy.spec)
    wait = inner.get("params", {}).get("wait")
    if wait:
        repeats = ""
    else:
        repeats = "while rewards are late it repeats itself" + (" unless its param wait is given" if wait == 0 else "")
    if policy.deterministic:
        return [
            f"{policy.name} never draws: {repeats}{', and ' if repeats else ''}a log in which every propensity is 1 "
            "cannot be used to judge another policy; wrap it in floor, or take a policy that draws"
        ]
    if repeats and inner is not policy.spec and catalog.from_spec(inner).deterministic:
        return [f"{inner['name']} never draws: {repeats}, but for the decisions that {policy.name} draws"]
    return []


def _innermost(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of the policy that all wrappers are around."""
    inner = _inside(spec)
    return spec if inner is None else _innermost(inner)


def _inside(spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return the spec of the policy that a wrapper is around; None of what is none."""
    inner = spec.get("params", {}).get("policy")
    return inner if isinstance(inner, dict) else None


def _supposes_a_range(spec: Definition) -> list[str]:
    """Say it only of [0, 1], which a policy has where none is declared."""
    is_declared = spec.problem.reward_range is not None and not spec.supposed
    if is_declared or spec.policy.reward_range != (0.0, 1.0):
        return []
    outside = "counts as the nearest end" if spec.problem.reward_range is None else "is refused"
    return [
        f"{spec.policy.name} takes rewards to lie in [0, 1], as it does where no range is declared: one outside "
        f"{outside}, and where all lie close together it learns slowly; declare the range that yours have "
        "(reward.range; in Python reward_range), or take a policy for any unit, like thompson_any"
    ]


def parts_room(names: list[list[str]]) -> int:
    """Return how many parts an explanation needs room for: the features of an action, and the intercept."""
    return 1 + max(map(len, names), default=0)


class Scores(NamedTuple):
    """What a policy makes of the k arms, or of the k actions of a call, in their order; NaN where it has no answer."""

    action_ids: list[str]
    score: Array  # float64[k] the reward that is expected, in most policies; of an index the part without the bonus
    width: Array  # float64[k] how unsure that is: the bonus of an index, of others a standard error
    probability: Array  # float64[k] how likely the action is taken; 0 where it could not be


def score_all(
    explain: Callable[..., None],
    params: Any,
    state: Any,
    instance: Instance,
    labels: Sequence[str],
    names: list[list[str]],
) -> Scores:
    """Return the scores of all actions; arguments are those of `explain`."""
    law, scores, widths, _ = _appraised(explain, params, state, instance, parts_room(names))
    return Scores([*labels], scores, widths, law)


def explain(
    explain: Callable[..., None],
    params: Any,
    state: Any,
    instance: Instance,
    labels: Sequence[str],
    names: list[list[str]],
) -> Explanation:
    """Explain one decision: `explain` is the compiled `loop.explain`, `names` those of `Intake.names`."""
    law, scores, widths, parts = _appraised(explain, params, state, instance, parts_room(names))
    able = np.flatnonzero(instance.available)
    order = able[np.lexsort((_last(scores[able]), _last(law[able])))].tolist()
    return Explanation(
        [Ranked(labels[a], or_null(law[a]), or_null(scores[a])) for a in order],
        [
            Reasons(
                labels[a],
                or_null(law[a]),
                or_null(scores[a]),
                or_null(widths[a]),
                _parts(parts[a], names[a], values(instance.context, a)),
            )
            for a in order[:ACTIONS_EXPLAINED]
        ],
    )


def _appraised(
    explain: Callable[..., None], params: Any, state: Any, instance: Instance, room: int
) -> tuple[Array, Array, Array, Array]:
    """Return law, scores and widths, float64[k] each, and parts, float64[k, room]."""
    k = len(instance.available)
    law, scores, widths, parts = np.zeros(k), np.full(k, np.nan), np.full(k, np.nan), np.zeros((k, room))
    explain(params, state, instance, law, scores, widths, parts)
    there = instance.available
    return law, np.where(there, scores, np.nan), np.where(there, widths, np.nan), parts


def rank(
    tell_law: Callable[..., None], params: Any, state: Any, instance: Instance, labels: Sequence[str]
) -> list[Ranked]:
    """Return the available actions with their probabilities, the likeliest first: `tell_law` is that of the loop."""
    law = np.zeros(len(instance.available))
    tell_law(params, state, instance, law)
    able = np.flatnonzero(instance.available)
    order = able[np.argsort(_last(law[able]), kind="stable")]
    return [Ranked(labels[a], or_null(p)) for a, p in zip(order.tolist(), law[order].tolist(), strict=True)]


def _parts(parts: Array, names: list[str], values: Array) -> list[Contribution]:
    moved = [j for j in np.argsort(-np.abs(parts), kind="stable").tolist() if parts[j] != 0 and j <= len(names)]
    return [
        Contribution("intercept", float(parts[j]))
        if j == len(names)
        else Contribution(names[j], float(parts[j]), float(values[j]))
        for j in moved[:FEATURES_EXPLAINED]
        if math.isfinite(parts[j])
    ]


def _last(values: Array) -> Array:
    """Return keys that sort the largest first and what is unknown last."""
    return np.where(np.isnan(values), np.inf, -values)
