"""Adversarial: a table of rewards that was written before the first decision, row t for decision t.

Source: the oblivious adversary of Auer, Cesa-Bianchi, Freund, Schapire 2002. The table is cycled.
State: the best fixed arm over the run. Cost: one look-up per reward.
The table named "phases" is the stochastically constrained adversary of Zimmert, Seldin 2021, without noise: 10 arms, of
which arm 9 always pays 0.1 more than the others; these pay 0 in one phase and 0.9 in the next, and phases grow by half,
from 10 decisions up to 35,000 in all. Policies that trust averages of different times are led astray by it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_table, range_seen
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem


class AdversarialParams(NamedTuple):
    """Numbers fixed at creation."""

    reward: Array  # float64[n, k] reward of each arm at each time


class AdversarialState(NamedTuple):
    """Known once the horizon is; nothing changes after that."""

    best: Array  # int64[1] the lowest arm of the largest sum of rewards up to the horizon


def adversarial(table: list[list[float]] | str = "phases") -> Environment:
    """Pay `table[t mod n][arm]`, any finite numbers; "phases" names a table of 10 arms made to mislead."""
    if table == "phases":
        rewards = _phases()
    elif isinstance(table, str):
        raise InvalidInput("bad_param", f"table is {as_seen(table)}: write rows of rewards, or the name 'phases'")
    else:
        rewards = check_table("table", table)
    n, n_arms = rewards.shape
    params = AdversarialParams(rewards)
    problem = Problem(n_arms, horizon=n, reward_range=range_seen(rewards))
    return Environment("adversarial", params, init, problem, regret_kind="best fixed arm in hindsight")


def init(params: AdversarialParams, problem: Problem, run: np.uint64) -> AdversarialState:
    """Find the best fixed arm over `problem.horizon` decisions, of one pass where there is no horizon."""
    n = len(params.reward)
    passes, rest = divmod(problem.horizon or n, n)
    total = passes * params.reward.sum(axis=0) + params.reward[:rest].sum(axis=0)
    return AdversarialState(np.array([total.argmax()], np.int64))


@kernel
def respond(
    params: AdversarialParams, state: AdversarialState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Look the reward up, at once."""
    return params.reward[instance.t % len(params.reward), action], 0


@kernel
def regret(params: AdversarialParams, state: AdversarialState, instance: Instance, action: int) -> float:
    """Return how much more the best fixed arm pays now: it may be negative, its sum is the regret in hindsight."""
    row = instance.t % len(params.reward)
    return params.reward[row, state.best[0]] - params.reward[row, action]


def _phases() -> Array:
    rows: list[list[float]] = []
    length, low = 10, True
    while len(rows) < 30_000:
        rows += [[0.0] * 9 + [0.1] if low else [0.9] * 9 + [1.0]] * length
        length, low = length * 3 // 2, not low
    return np.array(rows)


register_env(AdversarialParams, respond=respond, regret=regret)
