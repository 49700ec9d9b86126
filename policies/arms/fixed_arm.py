"""Fixed arm: play one arm, whatever comes; where it is not available, the available arm of the next higher number.

Source: the baseline that a policy is compared with where something was always done. Regret grows linearly.
State: none. Cost: O(1) per decision where the arm is available; nothing per feedback.
"""

from __future__ import annotations

from typing import NamedTuple

from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.protocol import register_policy
from ...engine.vocabulary import NO_CONTEXT, Decision, Feedback, Instance, Key, Policy, Problem


class FixedArmParams(NamedTuple):
    """What is played."""

    arm: int


class FixedArmState(NamedTuple):
    """Nothing is learned."""


def fixed_arm(arm: int = 0) -> Policy:
    """Play the arm of this number, from 0; where it is not available the next one that is, after the last the first."""
    if isinstance(arm, bool) or not isinstance(arm, int) or arm < 0:
        raise InvalidInput("bad_param", f"arm is {as_seen(arm)}: it must be the number of an arm, from 0")
    return Policy(
        "fixed_arm", FixedArmParams(arm), init, contexts=NO_CONTEXT, grow=by_padding(init), deterministic=True
    )


def init(params: FixedArmParams, problem: Problem) -> FixedArmState:
    """Return the empty state."""
    if params.arm >= problem.n_arms:
        raise InvalidInput(
            "bad_param", f"arm is {params.arm}, and there are {problem.n_arms} arms: they are numbered from 0"
        )
    return FixedArmState()


@kernel
def select(params: FixedArmParams, state: FixedArmState, instance: Instance, key: Key) -> Decision:
    """Take the arm, or the next one that is available."""
    k = len(instance.available)
    arm = params.arm
    while not instance.available[arm]:
        arm = (arm + 1) % k
    return Decision(arm, 1.0)


@kernel
def update(
    params: FixedArmParams,
    state: FixedArmState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn nothing."""


@kernel
def probability(params: FixedArmParams, state: FixedArmState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that would be taken, else 0."""
    k = len(instance.available)
    arm = params.arm
    while not instance.available[arm]:
        arm = (arm + 1) % k
    return 1.0 if arm == action else 0.0


register_policy(FixedArmParams, select=select, update=update, probability=probability)
