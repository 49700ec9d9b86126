"""Uniform: play each available arm with the same probability.

Source: the baseline of every experiment, and the logging policy of a randomised trial. Regret grows linearly.
State: none. Cost: O(K) per decision, for the count of available arms; nothing per feedback.
"""

from __future__ import annotations

from typing import NamedTuple

from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.availability import count_available, even_place, nth_available
from ...engine.protocol import register_policy
from ...engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem


class UniformParams(NamedTuple):
    """Nothing is fixed at creation."""


class UniformState(NamedTuple):
    """Nothing is learned."""


def uniform() -> Policy:
    """Play each available arm with the same probability."""
    return Policy(
        "uniform",
        UniformParams(),
        init,
        contexts=("dense", "actions", "named", "states"),
        grow=by_padding(init),
        even=True,
    )


def init(params: UniformParams, problem: Problem) -> UniformState:
    """Return the empty state."""
    return UniformState()


@kernel
def select(params: UniformParams, state: UniformState, instance: Instance, key: Key) -> Decision:
    """Draw one of the available arms."""
    count = count_available(instance.available)
    return Decision(nth_available(instance.available, even_place(count, key)), 1.0 / count)


@kernel
def update(
    params: UniformParams,
    state: UniformState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn nothing."""


@kernel
def probability(params: UniformParams, state: UniformState, instance: Instance, action: int) -> float:
    """Return 1 over the number of available arms, or 0 for an arm that is not."""
    return 1.0 / count_available(instance.available) if instance.available[action] else 0.0


register_policy(UniformParams, select=select, update=update, probability=probability)
