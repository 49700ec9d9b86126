"""Thompson sampling with Beta posteriors: its posterior, its law, and the law of its other mode."""

from __future__ import annotations

import math

import numpy as np
import pytest
from golden import entry
from support.every_run import every_run
from support.kinds.drawn import frequencies

from onearm.engine import loop, snapshot
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import has_law, probability
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
ALL = np.ones(3, np.bool_)


def instance(t: int, available: Array = ALL) -> Instance:
    return Instance(t, np.zeros(0), available)


def learn(policy: Policy, state: object, arm: int, reward: float) -> None:
    feedback = Feedback(reward, np.zeros(0))
    loop.learn(policy.params, state, instance(0), Decision(arm, 0.5), feedback, Key(RUN, 0))


@pytest.mark.parametrize("propensities", [True, False])
def test_the_posterior_of_a_hand_worked_trace(propensities: bool) -> None:
    policy = catalog.make("thompson_beta", prior_success=2.0, prior_failure=0.5, propensities=propensities)
    state = policy.init(policy.params, Problem(3))
    for arm, reward in ((0, 1.0), (1, 0.0), (1, 0.25), (0, 1.0), (2, 7.0), (2, -3.0), (2, 0.5)):
        learn(policy, state, arm, reward)
    assert state.success.tolist() == [4.0, 2.25, 3.5]
    assert state.failure.tolist() == [0.5, 2.25, 2.0]


def test_the_first_law_is_uniform_over_the_available_arms() -> None:
    policy = catalog.make("thompson_beta")
    state = policy.init(policy.params, Problem(3))
    for available in (ALL, np.array([True, False, True])):
        law = [probability(policy.params, state, instance(0, available), a) for a in range(3)]
        assert law == pytest.approx(available / available.sum(), rel=1e-12)


def test_the_law_after_feedback_is_an_exact_number() -> None:
    """Beta(2, 1), Beta(1, 1), Beta(3, 1): F is x^a, so the shares are a / 6."""
    policy = catalog.make("thompson_beta")
    state = policy.init(policy.params, Problem(3))
    for arm in (0, 2, 2):
        learn(policy, state, arm, 1.0)
    law = [probability(policy.params, state, instance(3), a) for a in range(3)]
    assert law == pytest.approx([2 / 6, 1 / 6, 3 / 6], rel=1e-9)
    digest = snapshot.digest(state)
    for t in range(20):
        decision = loop.decide(policy.params, state, instance(t), Key(RUN, t))
        assert decision[1] == law[decision[0]]
    assert snapshot.digest(state) == digest


def test_a_spec_from_before_the_grid_keeps_the_law_of_version_1() -> None:
    stored = {"name": "thompson_beta", "params": {"prior_success": 1.0, "prior_failure": 1.0, "propensities": True}}
    first = catalog.from_stored(stored)
    assert (first.version, first.params) == (1, catalog.make("thompson_beta", grid=False).params)
    assert catalog.make("thompson_beta").version == 2
    assert catalog.make("thompson_beta", propensities=False).version == 1
    golden = "e04cf61fabf23c7ebea012f1a626e8f79340389dd6e5a2bdef2e534ec902b409"  # of version 1, before there was a 2
    assert entry(first)["decisions"] == golden


def test_both_versions_have_the_same_law_up_to_rounding() -> None:
    laws = []
    for grid in (True, False):
        policy = catalog.make("thompson_beta", grid=grid)
        state = policy.init(policy.params, Problem(3))
        state.success[:], state.failure[:] = (30.0, 4.0, 900.0), (20.0, 5.0, 600.0)
        laws.append([probability(policy.params, state, instance(0), a) for a in range(3)])
    assert laws[0] == pytest.approx(laws[1], rel=1e-8)


def test_a_state_that_decided_often_and_one_from_a_snapshot_have_the_same_law() -> None:
    policy = catalog.make("thompson_beta")
    state = policy.init(policy.params, Problem(3))
    for t in range(60):
        available = np.array([True, t % 5 != 4, t % 7 < 5])
        action, propensity = loop.decide(policy.params, state, instance(t, available), Key(RUN, t))
        kept = snapshot.unpack([snapshot.pack(state)], policy.init(policy.params, Problem(3)))
        assert loop.decide(policy.params, kept, instance(t, available), Key(RUN, t)) == (action, propensity)
        learn(policy, state, action, float(t % 3 < action))


def test_without_propensities_they_are_unknown() -> None:
    policy = catalog.make("thompson_beta", propensities=False)
    state = policy.init(policy.params, Problem(3))
    for t in range(20):
        assert math.isnan(loop.decide(policy.params, state, instance(t), Key(RUN, t))[1])
        assert math.isnan(probability(policy.params, state, instance(t), 1))
    assert not has_law(policy.params)
    assert has_law(catalog.make("thompson_beta").params)


def test_what_is_not_a_prior_is_refused() -> None:
    for params in ({"prior_success": 0.0}, {"prior_failure": -1.0}, {"prior_success": 1e9}):
        with pytest.raises(InvalidInput, match=r"must be a number in \[0.01, 1e\+08\]"):
            catalog.make("thompson_beta", **params)
    for flag in ("propensities", "grid"):
        with pytest.raises(InvalidInput, match=f"{flag} is 'no'"):
            catalog.make("thompson_beta", **{flag: "no"})


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize(
    ("success", "failure", "available"),
    [
        ([3.0, 2.0, 1.0, 9.0], [4.0, 2.0, 0.5, 12.0], [True, True, True, True]),
        ([500.0, 0.3, 60.0, 7.0], [700.0, 0.4, 70.0, 9.0], [True, True, True, False]),
    ],
)
def test_samples_follow_the_law(success: list[float], failure: list[float], available: list[bool]) -> None:
    """Ten million draws of the mode without propensities, within 4 standard errors of the law by quadrature."""
    draws, k = 10_000_000, len(success)
    mask = np.array(available)
    posterior = np.array(success), np.array(failure)
    policy = catalog.make("thompson_beta")
    state = policy.init(policy.params, Problem(k))
    state.success[:], state.failure[:] = posterior
    law = np.array([probability(policy.params, state, instance(0, mask), a) for a in range(k)])
    shares = shares_of(catalog.make("thompson_beta", propensities=False), posterior, mask, draws)
    assert (np.abs(shares - law) <= 4 * np.sqrt(law * (1 - law) / draws)).all()


@pytest.mark.jit
def test_decisions_follow_the_law() -> None:
    draws = 100_000
    posterior = np.array([3.0, 2.0, 6.0]), np.array([4.0, 2.0, 4.0])
    policy = catalog.make("thompson_beta")
    shares = shares_of(policy, posterior, ALL, draws)
    state = policy.init(policy.params, Problem(3))
    state.success[:], state.failure[:] = posterior
    law = np.array([probability(policy.params, state, instance(0), a) for a in range(3)])
    assert (np.abs(shares - law) <= 4 * np.sqrt(law * (1 - law) / draws)).all()


def shares_of(policy: Policy, posterior: tuple[Array, Array], available: Array, draws: int) -> Array:
    """Return how often each arm is taken in decisions 0 to `draws` at one posterior."""
    state = policy.init(policy.params, Problem(len(available)))
    state.success[:], state.failure[:] = posterior
    return frequencies(policy.params, state, instance(0, available), RUN, draws)


@pytest.mark.jit
@pytest.mark.parametrize("propensities", every_run([True, False], [True]))
def test_regret_is_near_the_best_that_is_possible(propensities: bool) -> None:
    """Agrawal and Goyal 2013, theorem 1: as T grows, the sum of gap ln T / d(mean, best), as Lai and Robbins 1985."""
    means, horizon = [0.1, 0.5, 0.9], 5000
    policy = catalog.make("thompson_beta", propensities=propensities)
    env = envs.make("bernoulli", mean=means)
    regret = simulate(policy, env, horizon=horizon, replications=20, seed=1).regret[:, -1].mean()
    divergence = [m * math.log(m / 0.9) + (1 - m) * math.log((1 - m) / 0.1) for m in means[:2]]
    assert 2 < regret < math.log(horizon) * (0.8 / divergence[0] + 0.4 / divergence[1])
