"""A world for tests with everything at once: contexts, arms that come and go, and late rewards.

It comes from outside the package, so its kernels are compiled in each process and never cached.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from onearm.engine.draws import uniform
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_env
from onearm.engine.vocabulary import Array, Environment, Instance, Key, Problem

BERNOULLI = 'bernoulli:{"mean":[0.2,0.5,0.8]}'  # as the command line spells it


class SquallParams(NamedTuple):
    delay_max: int  # the longest delay of a reward, in decisions


class SquallState(NamedTuple):
    drift: Array  # float64[1], what the contexts walk on


def squall(delay_max: int = 4, numbers: int = 2) -> Environment:
    """Four arms of which 2 to 4 are there, rewards 0 to `delay_max` decisions late, a context of 1 number or more."""
    return Environment("squall", SquallParams(delay_max), init, Problem(4, (numbers,)), "best arm there", delay_max)


def init(params: SquallParams, problem: Problem, run: np.uint64) -> SquallState:
    return SquallState(np.zeros(1))


@kernel
def observe(params: SquallParams, state: SquallState, t: int, context: Array, available: Array, key: Key) -> None:
    state.drift[0] += uniform(key, 10) - 0.5
    context[0] = state.drift[0]
    context[len(context) - 1] = uniform(key, 11)
    for a in range(len(available)):
        available[a] = uniform(key, a) < 0.6
    available[t % 4] = True
    available[(t + 1) % 4] = True


@kernel
def respond(
    params: SquallParams, state: SquallState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    reward = 1.0 if uniform(key, 20) < _mean(instance, action) else 0.0
    return reward, int(uniform(key, 21) * (params.delay_max + 1))


@kernel
def regret(params: SquallParams, state: SquallState, instance: Instance, action: int) -> float:
    best = 0.0
    for a in range(len(instance.available)):
        if instance.available[a]:
            best = max(best, _mean(instance, a))
    return best - _mean(instance, action)


@kernel
def _mean(instance: Instance, action: int) -> float:
    return 0.15 + 0.15 * action + 0.2 * instance.context[len(instance.context) - 1]


_kernels: dict[str, Any] = {"observe": observe, "respond": respond, "regret": regret}
register_env(SquallParams, **_kernels)
