"""Rewards beside those that were paid in contexts alike: a change of the world, and a model that fits badly."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from onearm.engine.changes import alike as module
from onearm.engine.changes.alike import (
    ALIKE,
    CHANGED,
    OPEN,
    Alike,
    alike,
    begin_anew,
    compare,
    is_due,
    is_suspected,
    judge,
    rest,
    suspect,
)
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Features, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

ALL = 0
DENSE = Problem(1, (2,))


def heard(known: Alike, context: Array, arm: int, row: int, reward: float, number: int) -> None:
    """Let one reward come."""
    if is_due(known):
        compare(known, context, arm, row, reward, number, True)


def paid(known: Alike, contexts: Array, rewards: Array, first: int = 0, arm: int = 0) -> None:
    """Let rewards come, each in its context."""
    for number, (context, reward) in enumerate(zip(contexts, rewards, strict=True), first):
        heard(known, context, arm, ALL, float(reward), number)


def bent(contexts: Array) -> Array:
    return np.abs(contexts[:, 0])


@pytest.mark.parametrize(("fall", "expected"), [(0.0, ALIKE), (1.0, CHANGED)])
def test_what_counts_is_what_was_paid_in_the_same_contexts(fall: float, expected: int) -> None:
    """Contexts move to where less is paid: that alone is no change."""
    rng = np.random.default_rng(1)
    known = alike(1, DENSE)
    before = rng.normal(size=(800, 2))
    paid(known, before, bent(before) + 0.3 * rng.normal(size=800))
    suspect(known, 800)
    after = rng.normal(size=(300, 2)) * np.array([0.3, 1.0])
    paid(known, after, bent(after) + 0.3 * rng.normal(size=300) - fall, first=800)
    assert bent(after).mean() < bent(before).mean() - 0.3
    assert judge(known, ALL) == expected


def test_contexts_that_never_came_tell_nothing() -> None:
    rng = np.random.default_rng(2)
    known = alike(1, DENSE)
    paid(known, rng.normal(size=(200, 2)), rng.normal(size=200))
    suspect(known, 200)
    paid(known, rng.normal(size=(200, 2)) + 50.0, rng.normal(size=200) - 9.0, first=200)
    assert (known.pairs[ALL, 0], judge(known, ALL)) == (0.0, OPEN)


def test_of_contexts_that_are_the_same_each_reward_is_compared_as_often() -> None:
    known = alike(1, DENSE)
    paid(known, np.zeros((100, 2)), np.arange(100.0))
    suspect(known, 100)
    paid(known, np.zeros((300, 2)), np.zeros(300), first=100)
    assert known.used[:100].tolist() == [3.0] * 100
    assert known.pairs[ALL].tolist() == [300.0, -3.0 * 4950, 3.0 * 328350, 900.0]


def test_arms_are_compared_with_themselves_and_decisions_since_the_change_with_none() -> None:
    known = alike(3, DENSE)
    paid(known, np.zeros((60, 2)), np.zeros(60))
    paid(known, np.zeros((60, 2)), np.full(60, 5.0), first=60, arm=1)
    suspect(known, 30)
    heard(known, np.zeros(2), 1, 2, 5.0, 120)
    assert known.pairs[ALL, 0] == 0.0, "all of the second arm came later"
    heard(known, np.zeros(2), 0, 1, 2.0, 121)
    assert known.pairs[:, :2].tolist() == [[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]]
    rest(known)
    assert not is_suspected(known)


def test_where_hardly_anything_is_kept_the_bets_are_believed() -> None:
    known = alike(1, DENSE)
    paid(known, np.zeros((49, 2)), np.zeros(49))
    assert judge(known, ALL) == CHANGED
    paid(known, np.zeros((1, 2)), np.zeros(1), first=49)
    assert judge(known, ALL) == OPEN
    begin_anew(known)
    assert judge(known, ALL) == CHANGED


def test_what_is_kept_is_spread_over_all_of_the_time() -> None:
    known = alike(1, DENSE)
    n = 3000
    paid(known, np.arange(2.0 * n).reshape(n, 2), np.arange(float(n)))
    kept = int(known.filled[0])
    assert module._KEPT // 2 < kept <= module._KEPT
    assert np.unique(np.diff(known.number[:kept])).tolist() == [4]
    assert known.number[:kept].tolist() == known.reward[:kept].tolist()


def test_contexts_of_other_kinds_are_those_of_the_action() -> None:
    rows = alike(1, Problem(2, (2, 3)))
    compare(rows, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 1, ALL, 1.0, 0, False)
    assert rows.place[0].tolist() == [4.0, 5.0, 6.0]
    named = alike(1, Problem(2, (2, 1024), nonzeros=8))
    context = Features(np.array([0, 1, 2, 4]), np.array([3, 7, 9, 9 + 32], np.uint32), np.array([1.0, 2.0, 4.0, 8.0]))
    compare(named, context, 1, ALL, 1.0, 0, False)
    place = named.place[0]
    assert (np.flatnonzero(place).tolist(), place[[3, 9]].tolist()) == ([3, 9], [1.0, 4.0 - 8.0])


def season(kind: str, seed: int, n: int) -> tuple[Array, Array]:
    """Return contexts with seasons, float64[n, 4], and rewards of three arms whose law in each context stays."""
    rng = np.random.default_rng(seed)
    phase = 6.0 * np.pi * np.arange(n)[:, np.newaxis] / n
    x = rng.normal(size=(n, 4)) + 1.5 * np.sin(phase) * rng.choice([-1.0, 1.0], size=4)
    if kind == "xor":
        mean = np.sign(x[:, :3] * x[:, 1:])
    else:
        w = rng.normal(size=(4, 3))
        mean = (x @ w / np.linalg.norm(w, axis=0) > 0.7 * rng.normal(size=3)) * rng.uniform(0.5, 2.0, 3)
    return x, mean + 0.5 * rng.normal(size=mean.shape)


@pytest.mark.jit
def test_a_model_that_cannot_follow_the_truth_tells_of_no_change_where_contexts_move() -> None:
    """Bets alone told of a change in ten of these sixteen runs."""
    policy = policies.make("adaptive", policy={"name": "linucb", "params": {}})
    misfits, told = 0, 0
    for kind, seed in product(("step", "xor"), range(8)):
        x, rewards = season(kind, seed, 20_000)
        env: Any = envs.make("logged_table", reward=rewards, context=x)
        simulation = Simulation(policy, env, horizon=len(x), seed=seed, replication=0)
        simulation.advance(len(x))
        told += len(simulation.changes)
        misfits += int(simulation.state.watch.known.misfit[0])
    assert (told, misfits > 0) == (0, True)
