"""Cascade: what a list earns is the formula's, the best order has no regret, and rewards come once the list is full."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)


def earned(attraction: Array, patience: float, order: tuple[int, ...]) -> float:
    """Return what a list earns in the mean, by the formula."""
    above = np.cumprod([1.0, *((1.0 - attraction[a]) * patience for a in order[:-1])])
    return float((above * attraction[list(order)]).sum())


def play(env: Environment, state: Any, t: int, order: tuple[int, ...]) -> tuple[list[float], list[int], float]:
    """Fill a list that begins at time t; return what its slots earn, how long that takes, and the regret."""
    rewards, delays, gap = [], [], 0.0
    for arm in order:
        context, available = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_)
        observe(env.params, state, t, context, available, Key(RUN, t))
        assert context.tolist() == [float(slot == t % len(order)) for slot in range(len(order))]
        assert np.flatnonzero(~available).tolist() == sorted(order[: t % len(order)])
        seen = Instance(t, context, available)
        reward, delay = respond(env.params, state, seen, arm, np.zeros(0), Key(RUN, t))
        gap += regret(env.params, state, seen, arm)
        rewards.append(float(reward))
        delays.append(delay)
        t += 1
    return rewards, delays, gap


def test_regret_is_the_gap_to_the_best_of_all_orders() -> None:
    env = catalog.make("cascade", arms=4, slots=3, patience=0.6)
    state = env.init(env.params, env.problem, RUN)
    worth = {order: earned(state.attraction, 0.6, order) for order in permutations(range(4), 3)}
    for t, order in enumerate(worth):
        _, delays, gap = play(env, state, 3 * t, order)
        assert delays == [2, 1, 0]
        assert gap == pytest.approx(max(worth.values()) - worth[order])
    assert max(worth, key=worth.__getitem__) == tuple(np.argsort(-state.attraction)[:3])


def test_a_user_leaves_with_one_click_and_looks_further_with_patience() -> None:
    env = catalog.make("cascade", arms=3, slots=3, patience=0.5, low=0.2, high=0.4)
    state = env.init(env.params, env.problem, RUN)
    lists = np.array([play(env, state, 3 * t, (2, 0, 1))[0] for t in range(4000)])
    assert lists.sum(axis=1).max() == 1.0
    expected = [earned(state.attraction, 0.5, (2, 0, 1)[:n]) for n in (1, 2, 3)]
    assert np.cumsum(lists.mean(axis=0)) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"slots": 0}, "slots is 0"),
        ({"arms": 2}, "arms is 2"),
        ({"low": 0.5, "high": 0.4}, "high"),
        ({"patience": 2.0}, "patience"),
    ],
)
def test_numbers_out_of_range_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        catalog.make("cascade", **params)
