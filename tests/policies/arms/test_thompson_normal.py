"""Thompson sampling with normal posteriors: its posterior, its law, and the law of its other mode."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special
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
    """Prior N(1, 1/2^2), noise 1/2: a prior worth one reward, so the mean is that of the prior's and the rewards."""
    policy = catalog.make("thompson_normal", prior_mean=1.0, prior_sd=0.5, noise_sd=0.5, propensities=propensities)
    state = policy.init(policy.params, Problem(3))
    for arm, reward in ((0, 3.0), (1, -2.0), (0, 5.0), (0, 7.0)):
        learn(policy, state, arm, reward)
    assert state.mean == pytest.approx([16 / 4, -0.5, 1.0], rel=1e-15)
    assert state.precision.tolist() == [16.0, 8.0, 4.0]
    assert state.sd == pytest.approx([0.25, math.sqrt(1 / 8), 0.5], rel=1e-15)


def test_the_posterior_is_conjugate() -> None:
    policy = catalog.make("thompson_normal", prior_mean=-3.0, prior_sd=2.0, noise_sd=0.7)
    state = policy.init(policy.params, Problem(3))
    rewards = np.random.default_rng(1).normal(5.0, 1.0, 50)
    for reward in rewards:
        learn(policy, state, 1, float(reward))
    precision = 1 / 4 + 50 / 0.49
    assert state.precision[1] == pytest.approx(precision, rel=1e-13)
    assert state.mean[1] == pytest.approx((-3 / 4 + rewards.sum() / 0.49) / precision, rel=1e-13)


def test_the_first_law_is_uniform_over_the_available_arms() -> None:
    policy = catalog.make("thompson_normal")
    state = policy.init(policy.params, Problem(3))
    for available in (ALL, np.array([True, False, True])):
        law = [probability(policy.params, state, instance(0, available), a) for a in range(3)]
        assert law == pytest.approx(available / available.sum(), rel=1e-12)


def test_the_law_after_feedback_is_a_known_number() -> None:
    """After two rewards of 1 in the first arm: N(2/3, 1/3) against N(0, 1), and the third arm is not available."""
    policy = catalog.make("thompson_normal")
    state = policy.init(policy.params, Problem(3))
    learn(policy, state, 0, 1.0)
    learn(policy, state, 0, 1.0)
    available = np.array([True, True, False])
    first = special.ndtr((2 / 3) / math.sqrt(4 / 3))
    law = [probability(policy.params, state, instance(2, available), a) for a in range(3)]
    assert law == pytest.approx([first, 1 - first, 0.0], rel=1e-8)
    digest = snapshot.digest(state)
    for t in range(20):
        decision = loop.decide(policy.params, state, instance(t, available), Key(RUN, t))
        assert decision[1] == law[decision[0]]
    assert snapshot.digest(state) == digest


def test_without_propensities_they_are_unknown() -> None:
    policy = catalog.make("thompson_normal", propensities=False)
    state = policy.init(policy.params, Problem(3))
    for t in range(20):
        assert math.isnan(loop.decide(policy.params, state, instance(t), Key(RUN, t))[1])
        assert math.isnan(probability(policy.params, state, instance(t), 1))
    assert not has_law(policy.params)
    assert has_law(catalog.make("thompson_normal").params)


def test_what_is_not_a_prior_is_refused() -> None:
    for params in ({"prior_sd": 0.0}, {"noise_sd": -1.0}, {"prior_mean": math.inf}, {"noise_sd": 1e200}):
        with pytest.raises(InvalidInput, match=r"must be a number in \["):
            catalog.make("thompson_normal", **params)
    with pytest.raises(InvalidInput, match="propensities is 'no'"):
        catalog.make("thompson_normal", propensities="no")


@pytest.mark.jit
@pytest.mark.parametrize(
    ("mean", "sd", "available"),
    [
        ([0.3, 0.2, -1.0, 0.9], [1.0, 2.0, 3.0, 0.1], [True, True, True, True]),
        ([1e6, 1e6 + 0.1, 1e6 - 0.5, 0.0], [0.1, 0.2, 1.0, 1e6], [True, True, True, False]),
    ],
)
def test_samples_follow_the_law(mean: list[float], sd: list[float], available: list[bool]) -> None:
    """Ten million draws of the mode without propensities, within 4 standard errors of the law by quadrature."""
    draws, k = 10_000_000, len(mean)
    mask = np.array(available)
    posterior = np.array(mean), np.array(sd)
    policy = catalog.make("thompson_normal")
    state = policy.init(policy.params, Problem(k))
    state.mean[:], state.sd[:] = posterior
    law = np.array([probability(policy.params, state, instance(0, mask), a) for a in range(k)])
    shares = shares_of(catalog.make("thompson_normal", propensities=False), posterior, mask, draws)
    assert (np.abs(shares - law) <= 4 * np.sqrt(law * (1 - law) / draws)).all()


@pytest.mark.jit
def test_decisions_follow_the_law() -> None:
    draws = 100_000
    posterior = np.array([0.3, 0.2, -0.6]), np.array([0.4, 0.2, 1.0])
    policy = catalog.make("thompson_normal")
    shares = shares_of(policy, posterior, ALL, draws)
    state = policy.init(policy.params, Problem(3))
    state.mean[:], state.sd[:] = posterior
    law = np.array([probability(policy.params, state, instance(0), a) for a in range(3)])
    assert (np.abs(shares - law) <= 4 * np.sqrt(law * (1 - law) / draws)).all()


def shares_of(policy: Policy, posterior: tuple[Array, Array], available: Array, draws: int) -> Array:
    """Return how often each arm is taken in decisions 0 to `draws` at one posterior."""
    state = policy.init(policy.params, Problem(len(available)))
    state.mean[:], state.sd[:] = posterior
    return frequencies(policy.params, state, instance(0, available), RUN, draws)


@pytest.mark.jit
@pytest.mark.parametrize("propensities", [True, False])
def test_regret_is_near_the_best_that_is_possible(propensities: bool) -> None:
    """Lai and Robbins 1985: no consistent policy has less than the sum of 2 sd^2 ln T / gap for ever."""
    means, horizon = [0.0, 1.0, 2.0], 5000
    policy = catalog.make("thompson_normal", prior_sd=10.0, propensities=propensities)
    env = envs.make("normal", mean=means)
    regret = simulate(policy, env, horizon=horizon, replications=20, seed=1).regret[:, -1].mean()
    assert 4 < regret < 2 * math.log(horizon) * (1 / 2 + 1 / 1)
