"""Another policy on a log of vectors whose losses are all known: what it would have decided, learned and lost.

Where the loss of every coordinate is on record, that of every point is: no estimate is needed, and a policy is played
through the log as if it had been at work, late feedback included. This is exact where the losses would have come as
they did whatever had been decided. From any other feedback it cannot be told, and the log is refused.
Cost: one decision and one feedback a row, about 4 us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import loop
from ..columns import row_instance
from ..draws import EVALUATION, run_key
from ..errors import InvalidInput
from ..limits import limits_of
from ..problem import check_seed, fitted
from ..vectors.hindsight import LinearLosses
from ..vocabulary import (
    DECIDE,
    LEARN,
    Certificate,
    Columns,
    Decision,
    Feedback,
    FeedbackKind,
    Instance,
    Key,
    Policy,
    Problem,
)

_UNTOLD: dict[FeedbackKind, str] = {
    "gradient": "gradients, which are those at the points that were decided",
    "reward": "the loss of the points that were decided alone",
    "two_rewards": "the losses of the points that were decided alone",
    "example": "examples, of which the log does not say what they make another point lose",
}
_PROGRESS = 10_000  # rows between two reports of progress


@dataclass(frozen=True)
class Rehearsal:
    """What a policy would have done on a log."""

    policy: dict[str, Any]  # spec
    losses: LinearLosses
    certificate: Certificate


def rehearse(
    policy: Policy,
    problem: Problem,
    events: Columns,
    *,
    seed: int = 0,
    segments: int = 1,
    progress: Callable[[int], None] = lambda rows: None,
) -> Rehearsal:
    """Let a policy decide and learn every event of a log of losses, in their order.

    Raises `InvalidInput` where the log holds other feedback, or where the policy does not fit; `OnearmError` where it
    decides a point that is not in the domain.
    """
    check_losses(problem)
    policy = fitted(policy, problem)
    limits, made = limits_of(problem), dict[int, Decision]()
    rounds = int((events.kind == LEARN).sum())
    losses = LinearLosses(limits.domain, segments=segments, rounds=rounds)
    state = policy.init(policy.params, problem)
    run = run_key(check_seed(seed), 0, EVALUATION)
    decide, learn, certify = _entries(policy, problem, state, run, events)
    for row, (kind, number) in enumerate(zip(events.kind.tolist(), events.number.tolist(), strict=True)):
        instance, key = row_instance(number, events, row), Key(run, number)
        if kind == DECIDE:
            action, propensity = decide(policy.params, state, instance, key)
            limits.check_decided(policy.name, action, number)
            made[number] = Decision(action.copy(), propensity)
        else:
            decision, earned = made[number], events.detail[row]
            reward = float((earned * decision.action).sum())
            learn(policy.params, state, instance, decision, Feedback(reward, earned), key)
            losses.add(decision.action[np.newaxis], -earned[np.newaxis])
        if row % _PROGRESS == _PROGRESS - 1:
            progress(_PROGRESS)
    progress(len(events.kind) % _PROGRESS)
    proof = Certificate(*map(float, certify(policy.params, state)))
    return Rehearsal(policy.spec, losses, proof)


def check_losses(problem: Problem) -> None:
    """Refuse a log from which it cannot be told what another policy would have lost."""
    if problem.feedback != "losses":
        raise InvalidInput(
            "no_rehearsal",
            f"the log holds {_UNTOLD[problem.feedback]}: another policy decides other points, of whose losses it says "
            "nothing; let policies play with onearm simulate, make this log's own decisions again with onearm verify, "
            "or log losses (the feedback losses), which can be replayed",
        )


def _entries(policy: Policy, problem: Problem, state: Any, run: np.uint64, events: Columns) -> tuple[Any, Any, Any]:
    """Return `decide`, `learn` and `certificate`, compiled for a policy."""
    instance, key = Instance(0, np.zeros(problem.context_shape), np.ones(1, np.bool_)), Key(run, 0)
    decision, feedback = Decision(np.zeros(problem.dimension), 1.0), Feedback(0.0, np.zeros(problem.dimension))
    return (
        loop.decide.compiled(policy.params, state, instance, key),
        loop.learn.compiled(policy.params, state, instance, decision, feedback, key),
        loop.certificate.compiled(policy.params, state),
    )
