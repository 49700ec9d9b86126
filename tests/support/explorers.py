"""What the tests of explorers share: an instance, one feedback, the law, and a world of a few fixed rewards."""

from __future__ import annotations

from typing import Any

import numpy as np

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.protocol import probability
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

RUN = run_key(11, 0, POLICY)


def instance(t: int, context: Any = None, k: int = 3, available: Array | None = None) -> Instance:
    """Return what arrives at t: without a context none, and without a mask all of k actions."""
    return Instance(
        t, np.zeros(0) if context is None else context, np.ones(k, np.bool_) if available is None else available
    )


def learn(policy: Policy, state: Any, at: Instance, action: int, reward: float, propensity: float = 0.5) -> None:
    """Let a policy learn one reward."""
    feedback = Feedback(reward, np.zeros(0))
    loop.learn(policy.params, state, at, Decision(action, propensity), feedback, Key(RUN, at.t))


def decide(policy: Policy, state: Any, at: Instance) -> Decision:
    """Return what a policy decides."""
    return Decision(*loop.decide(policy.params, state, at, Key(RUN, at.t)))


def law_of(policy: Policy, state: Any, at: Instance) -> Array:
    """Return the probability of every action."""
    return np.array([probability(policy.params, state, at, a) for a in range(len(at.available))])


def taught(policy: Policy, problem: Problem, steps: int, scale: float = 1.0, order: Array | None = None) -> Any:
    """Return a state after `steps` feedbacks, the same for every policy, whatever it would have decided.

    The actions are drawn evenly, contexts are normal, and the reward is `scale` times a linear function of the context
    (of the action's row, where there is one) plus noise. `order` numbers the actions anew. Python learns, also where
    decisions are compiled: the bits are the same, and to compile `learn` takes some seconds.
    """
    rng = np.random.default_rng(4)
    k = problem.n_arms
    order = np.arange(k) if order is None else order
    state = policy.init(policy.params, problem)
    slope = rng.normal(size=(k, problem.context_shape[-1]))
    for t in range(steps):
        context = rng.normal(size=problem.context_shape)
        a = int(rng.integers(k))
        row, weights = (context[a], slope[0]) if context.ndim == 2 else (context, slope[a])
        reward = scale * (float(row @ weights) + 0.3 * rng.normal())
        shown = context[np.argsort(order)] if context.ndim == 2 else context
        decision, feedback = Decision(int(order[a]), 0.5), Feedback(reward, np.zeros(0))
        loop.learn.python(policy.params, state, instance(t, shown, k), decision, feedback, Key(RUN, t))
    return state
