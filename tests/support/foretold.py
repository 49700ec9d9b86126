"""Foretold: a policy for tests whose contexts say what it expects of each reward, and how sure it is.

A context is the score and the width of whatever arm is chosen, so a test says of each error how large it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class ForetoldParams(NamedTuple):
    arm: int  # what is chosen


class ForetoldState(NamedTuple):
    bias: Array  # float64[1] added to what the context says
    learned: Array  # int64[k] feedbacks


def foretold(arm: int = 0) -> Policy:
    """Choose one arm, and expect what the context says."""
    return Policy("foretold", ForetoldParams(arm), init)


def init(params: ForetoldParams, problem: Problem) -> ForetoldState:
    return ForetoldState(np.zeros(1), np.zeros(problem.n_arms, np.int64))


@kernel
def select(params: ForetoldParams, state: ForetoldState, instance: Instance, key: Key) -> Decision:
    return Decision(params.arm, 1.0)


@kernel
def update(
    params: ForetoldParams, state: ForetoldState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    state.learned[decision.action] += 1


@kernel
def appraise(params: ForetoldParams, state: ForetoldState, instance: Instance, scores: Array, widths: Array) -> None:
    for arm in range(len(instance.available)):
        if instance.available[arm]:
            scores[arm] = instance.context[0] + state.bias[0]
            widths[arm] = instance.context[1]


register_policy(ForetoldParams, select=select, update=update, appraise=appraise)
