"""Imitation: a policy learns to do what somebody else does, from whether it would have done the same.

Source: the apprentice mode of Agarwal, Bird, Cozowicz, et al., "Making contextual decisions with low technical debt",
2016, as services have it since.
Where a decision of somebody else is learned, the policy decides as well, with what it knows then. What it learns is
its own decision, with its own propensity, whose reward is the largest of its range where both took the same action, and
the smallest where not. So to imitate is an ordinary task for it: what is known of its regret says how soon it agrees,
and a policy that divides by propensities divides by those that it has drawn with. To learn the other's action as a
reward of 1 would not do: a mean of ones says of each action that was ever taken that it is the best.
State: that of the policy, whose state becomes one that learns from rewards and back without a change. Cost: a decision
and a feedback of the policy. No policy of the catalogue, as it says how a policy learns and not which it is.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from .. import protocol
from ..growth import grown
from ..kernel import kernel
from ..vocabulary import Array, Decision, Feedback, Instance, Key, Policy


class ImitationParams(NamedTuple):
    """The params of the policy, and what it learns."""

    inner: Any
    agreed: float  # the reward where both took the same action
    differed: float


def imitating(policy: Policy) -> Policy:
    """Return a policy, which chooses arms, as one that learns from agreement; its state, spec and version stay."""
    differed, agreed = policy.reward_range or (0.0, 1.0)

    def of_policy(call: Any) -> Any:
        """Let a function of the policy be called with its own params."""
        return call and (lambda params, *more: call(params.inner, *more))

    return dataclasses.replace(
        policy,
        params=ImitationParams(policy.params, float(agreed), float(differed)),
        init=of_policy(policy.init),
        grow=policy.grow and (lambda params, state, problem: grown(policy, state, problem)),
        resolve=None,
        constants=of_policy(policy.constants),
        found=of_policy(policy.found),
        turn=of_policy(policy.turn),
        repeats=of_policy(policy.repeats),
    )


@kernel
def select(params: ImitationParams, state: Any, instance: Instance, key: Key) -> Decision:
    """Let the policy decide."""
    return protocol.select(params.inner, state, instance, key)


@kernel
def mark(params: ImitationParams, state: Any, instance: Instance, decision: Decision, key: Key) -> None:
    """Let the policy take note."""
    protocol.mark(params.inner, state, instance, decision, key)


@kernel
def update(
    params: ImitationParams, state: Any, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Let the policy learn what it would have done, and whether that was done."""
    own = protocol.select(params.inner, state, instance, key)
    reward = params.differed
    if own.action == decision.action:
        reward = params.agreed
    protocol.update(params.inner, state, instance, own, Feedback(reward, feedback.detail), key)


@kernel
def probability(params: ImitationParams, state: Any, instance: Instance, action: int) -> float:
    """Return how likely the policy is to take the action."""
    return protocol.probability(params.inner, state, instance, action)


@kernel
def appraise(params: ImitationParams, state: Any, instance: Instance, scores: Array, widths: Array) -> None:
    """Let the policy say what it expects."""
    protocol.appraise(params.inner, state, instance, scores, widths)


@kernel
def attribute(params: ImitationParams, state: Any, instance: Instance, action: int, parts: Array) -> None:
    """Let the policy say why."""
    protocol.attribute(params.inner, state, instance, action, parts)


protocol.register_policy(
    ImitationParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    appraise=appraise,
    attribute=attribute,
)
