"""Epsilon-greedy: its law, its leader kept from feedback to feedback, its regret."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import probability
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
ALL = np.ones(4, np.bool_)
MEANS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8]


def after(feedbacks: list[tuple[int, float]], origin: float | None = 0.0) -> Any:
    """Return the state of 4 arms after some (arm, reward)."""
    policy = catalog.make("epsilon_greedy", origin=origin)
    state = policy.init(policy.params, Problem(4))
    for t, (arm, reward) in enumerate(feedbacks):
        decision, feedback = Decision(arm, 0.5), Feedback(reward, np.zeros(0))
        loop.learn(policy.params, state, Instance(t, np.zeros(0), ALL), decision, feedback, Key(RUN, t))
    return state


def law(state: Any, available: Array) -> list[float]:
    policy = catalog.make("epsilon_greedy", epsilon=0.2)
    instance = Instance(0, np.zeros(0), available)
    return [probability(policy.params, state, instance, a) for a in range(4)]


def test_a_hand_worked_trace() -> None:
    state = after([(2, 1.0), (0, 0.5), (2, 0.0), (2, 0.5), (3, 0.75)])
    assert state.count.tolist() == [1, 0, 3, 1]
    assert state.mean.tolist() == [0.5, 0.0, 0.5, 0.75]
    assert law(state, ALL) == pytest.approx([0.05, 0.05, 0.05, 0.85], abs=1e-15)


def test_a_tie_goes_to_the_lowest_available_arm() -> None:
    state = after([(2, 0.5), (0, 0.5), (3, 0.25)])
    assert law(state, ALL) == pytest.approx([0.85, 0.05, 0.05, 0.05])
    assert law(after([(0, 0.5), (2, 1.0), (2, 0.0)]), ALL)[0] == pytest.approx(0.85), "arm 2 fell back to a tie"
    masked = law(state, np.array([False, True, True, True]))
    assert masked == pytest.approx([0.0, 0.2 / 3, 0.8 + 0.2 / 3, 0.2 / 3])


def test_an_arm_never_learned_leads_where_rewards_are_below_the_origin() -> None:
    assert law(after([(0, -1.0), (1, -2.0)]), ALL)[2] == pytest.approx(0.85)
    assert law(after([(0, 5.0), (1, 4.0)], origin=10.0), ALL)[2] == pytest.approx(0.85)


def test_an_arm_never_learned_counts_as_the_first_reward() -> None:
    assert law(after([(1, -1.0)], None), ALL)[0] == pytest.approx(0.85), "all are equal"
    assert law(after([(0, -1.0), (0, -2.0)], None), ALL)[1] == pytest.approx(0.85), "the others are above"
    assert law(after([(0, -2.0), (1, -1.0), (1, -1.5)], None), ALL)[1] == pytest.approx(0.85), "the others are below"


@pytest.mark.parametrize("scale", [2.0**-20, 4.0, 2.0**20])
@pytest.mark.parametrize("offset", [0.0, 2.0**10, -(2.0**20)])
def test_no_unit_and_no_offset_changes_a_decision(scale: float, offset: float) -> None:
    assert played(scale, offset) == played(1.0, 0.0)
    assert len(set(played(1.0, 0.0))) == 4


def played(scale: float, offset: float) -> list[int]:
    """Return what is played where arm a pays 0 or 1, more often 1 the higher its number, in another unit."""
    policy, rng = catalog.make("epsilon_greedy"), np.random.default_rng(3)
    state, found = policy.init(policy.params, Problem(4)), []
    for t in range(200):
        at = Instance(t, np.zeros(0), ALL)
        decision = Decision(*loop.decide(policy.params, state, at, Key(RUN, t)))
        found.append(int(decision.action))
        feedback = Feedback(scale * float(rng.random() < 0.2 + 0.2 * found[-1]) + offset, np.zeros(0))
        loop.learn(policy.params, state, at, decision, feedback, Key(RUN, t))
    return found


def test_a_stored_spec_without_an_origin_compares_with_0() -> None:
    earlier = catalog.from_stored({"name": "epsilon_greedy", "params": {"epsilon": 0.1}})
    assert (earlier.params, earlier.version) == (catalog.make("epsilon_greedy", origin=0.0).params, 1)
    assert catalog.make("epsilon_greedy").version == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_leader_is_the_lowest_arm_of_the_highest_mean_after_every_feedback(seed: int) -> None:
    rng = np.random.default_rng(seed)
    feedbacks = [(int(rng.integers(4)), float(rng.integers(-2, 3)) / 2) for _ in range(80)]
    for n in range(len(feedbacks)):
        state = after(feedbacks[: n + 1])
        assert state.leader[0] == np.argmax(state.mean)
        others = np.delete(state.mean, state.leader[0])
        assert others.max() <= state.ceiling[0]


def test_one_draw_is_the_coin_and_the_arm() -> None:
    policy = catalog.make("epsilon_greedy", epsilon=0.4)
    state = after([(2, 1.0)])
    available = np.array([True, False, True, True])
    seen = set()
    for t in range(60):
        u = uniform(Key(RUN, t), 0)
        decision = loop.decide(policy.params, state, Instance(t, np.zeros(0), available), Key(RUN, t))
        assert decision.action == ((0, 2, 3)[int(u / 0.4 * 3)] if u < 0.4 else 2)
        seen.add(decision.action)
    assert seen == {0, 2, 3}


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, float("nan"), "0.1", True])
def test_epsilon_outside_its_range_is_refused(epsilon: float) -> None:
    with pytest.raises(InvalidInput, match="epsilon is"):
        catalog.make("epsilon_greedy", epsilon=epsilon)


@pytest.mark.jit
def test_regret_is_epsilon_times_the_mean_gap_once_the_best_arm_leads() -> None:
    env = envs.make("bernoulli", mean=MEANS)
    regret = simulate(catalog.make("epsilon_greedy"), env, horizon=100_000, replications=20, seed=1).regret[:, -1]
    exploring = 0.1 * (0.8 - np.array(MEANS)).mean() * 100_000
    assert 0.99 * exploring < regret.mean() < 1.05 * exploring
