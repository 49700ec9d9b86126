"""Tsallis-INF in bins: which bin a context falls into, that bins learn apart, and published bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.tsallis_reference import Reference

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Decision, Environment, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
ESTIMATORS = ("importance_weighted", "reduced_variance")
K = 6


def binned(low: float = 0.0, high: float = 10.0, bins: int = 5, **params: Any) -> Policy:
    return catalog.make("tsallis_inf_binned", low=low, high=high, bins=bins, **params)


def at(t: int, *context: float) -> Instance:
    return Instance(t, np.array(context), np.ones(K, np.bool_) if t % 3 else np.roll(np.arange(K) < 4, t))


def decide(policy: Policy, state: Any, instance: Instance) -> Decision:
    return Decision(*loop.decide(policy.params, state, instance, Key(RUN, instance.t)))


def learn(policy: Policy, state: Any, instance: Instance, decision: Decision, reward: float) -> None:
    loop.learn(policy.params, state, instance, decision, Feedback(reward, np.zeros(0)), Key(RUN, instance.t))


def learned_in(policy: Policy, *context: float) -> tuple[int, int]:
    """Return the bin that learns a feedback with this context, and how many were counted as clipped."""
    state = policy.init(policy.params, Problem(K, (len(context),)))
    learn(policy, state, at(1, *context), Decision(0, 0.5), -3.0)
    counts = state.losses.learned[:, 0]
    assert counts.sum() == 1
    assert (state.losses.total[:, 0] == 2.0 * counts).all()
    assert (state.losses.loss[:, 0] == 4.0 * counts).all()
    return int(counts.argmax()), int(state.clipped[0])


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("low", "high", "bins"), [(-0.15, 0.65, 5), (0.0, 10.0, 6), (-1e6, -1e3, 7), (2.0, 3.0, 1)])
def test_a_context_falls_to_the_nearest_centre(low: float, high: float, bins: int, estimator: str) -> None:
    policy = binned(low, high, bins, estimator=estimator)
    centres = low + (high - low) * (np.arange(1, bins + 1) - 0.5) / bins
    for context in np.random.default_rng(3).uniform(low, high, 40):
        assert learned_in(policy, context) == (np.abs(centres - context).argmin(), 0)
    assert {learned_in(policy, centre)[0] for centre in centres} == set(range(bins))


@pytest.mark.parametrize(("context", "place"), [(0.0, 0), (2.0, 0), (4.0, 1), (6.0, 2), (8.0, 3), (10.0, 4)])
def test_between_two_centres_the_lower_one_has_it(context: float, place: int) -> None:
    assert learned_in(binned(), context) == (place, 0)
    assert learned_in(binned(), np.nextafter(context, 11.0))[0] == min(place + (context > 0), 4)


@pytest.mark.parametrize(("context", "place"), [(-1e-300, 0), (-1e308, 0), (10.000001, 4), (1.7e308, 4)])
def test_a_context_outside_falls_to_the_end_and_is_counted(context: float, place: int) -> None:
    assert learned_in(binned(), context) == (place, 1)


@pytest.mark.parametrize(("bins", "place"), [(1, 0), (4, 1), (5, 2)])
def test_no_context_is_the_middle(bins: int, place: int) -> None:
    assert learned_in(binned(bins=bins)) == (place, 0)
    assert learned_in(binned(bins=bins), 5.0) == (place, 0)


@pytest.mark.covering
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("late", [0, 4])
def test_every_law_is_that_of_a_reference_of_its_bin(estimator: str, late: int) -> None:
    """The clock of a bin is what it has learned, also where feedback is late."""
    follow_references(estimator, late)


@pytest.mark.jit
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_law_is_that_of_a_reference_of_its_bin_when_compiled(estimator: str) -> None:
    follow_references(estimator, late=4)


def follow_references(estimator: str, late: int) -> None:
    policy = binned(-1.0, 1.0, 3, estimator=estimator)
    state = policy.init(policy.params, Problem(K, (1,)))
    references = [Reference(K, estimator == "reduced_variance") for _ in range(3)]
    rng = np.random.default_rng(8)
    waiting: list[tuple[Instance, Decision]] = []
    for t in range(400):
        instance = at(t, rng.choice([-0.9, 0.0, 0.5]))
        decision = decide(policy, state, instance)
        reference = references[round(instance.context[0] + 1)]
        law = reference.law(len(reference.costs) + 1, instance.available)
        assert state.scratch_work.law / state.scratch_work.law.sum() == pytest.approx(law, abs=1e-9)
        assert decision.propensity == pytest.approx(law[decision.action], abs=1e-9)
        waiting.append((instance, decision))
        while len(waiting) > late:
            then, made = waiting.pop(t % len(waiting))
            cost = 1 + int(rng.integers(1, 30)) * (1 + abs(made.action - round(2 * then.context[0] + 2)))
            learn(policy, state, then, made, -float(cost))
            reference = references[round(then.context[0] + 1)]
            now = len(reference.costs) + 1
            reference.learn(now, then.available, made.action, cost - 1.0, made.propensity)
    counts = state.losses.learned[:, 0].tolist()
    assert counts == [len(reference.costs) for reference in references]
    assert min(counts) > 100
    assert bool(state.losses.shift.any()) == (estimator == "reduced_variance")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_bin_is_tsallis_inf_with_a_running_mean(estimator: str) -> None:
    one = binned(bins=1, estimator=estimator)
    plain = catalog.make("tsallis_inf", estimator=estimator, scale="running_mean", reward_max=-1.0)
    states = [policy.init(policy.params, Problem(K)) for policy in (one, plain)]
    for t in range(200):
        made = [decide(policy, state, at(t)) for policy, state in zip((one, plain), states, strict=True)]
        assert made[0] == made[1]
        for policy, state in zip((one, plain), states, strict=True):
            learn(policy, state, at(t), made[0], -1.0 - (t * 5 + made[0].action * 3) % 17)


def test_what_one_bin_learns_the_others_do_not_see() -> None:
    policy = binned()
    state = policy.init(policy.params, Problem(K, (1,)))
    before = decide(policy, state, at(1, 9.0))
    for t in range(60):
        learn(policy, state, at(t, 1.0), Decision(t % K, 1 / 6), -float(10 * (1 + t % K)))
    assert decide(policy, state, at(1, 9.0)) == before
    assert before.propensity == pytest.approx(1 / 6, rel=1e-15)
    law = state.scratch_work.law.copy()
    decide(policy, state, at(1, 1.0))
    assert state.scratch_work.law[0] > 2 * law[0]


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"bins": 0}, "bins is 0: it must be a whole number from 1 to 1000"),
        ({"bins": 2.0}, "bins is 2.0"),
        ({"bins": True}, "bins is True"),
        ({"low": 10.0}, "high is 10.0"),
        ({"high": float("nan")}, "high is nan"),
        ({"low": float("-inf")}, "low is -inf"),
        (
            {"estimator": "doubly_robust"},
            "estimator is 'doubly_robust': it must be one of importance_weighted, reduced",
        ),
        ({"reward_max": 1e101}, "reward_max is 1e.101"),
    ],
)
def test_params_that_cannot_be_are_refused(params: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInput, match=match) as refused:
        binned(**params)
    assert refused.value.code == "bad_param"


def test_a_context_of_two_numbers_does_not_fit() -> None:
    check_fit(binned(), Problem(K, (1,)))
    with pytest.raises(InvalidInput, match="reads contexts of up to 1 numbers, but this problem has 2"):
        check_fit(binned(), Problem(K, (2,)))


def mean_iterations(policy: Policy, env: Environment, seed: int) -> float:
    simulation = Simulation(policy, env, horizon=5000, seed=seed)
    simulation.advance(5000)
    return float(-simulation.totals.reward[0] / 5000)


@pytest.mark.jit
@pytest.mark.parametrize(("variance", "low", "high"), [("low", 61, 68), ("high", 100, 106)])
def test_mean_iterations_lie_in_the_bands_of_independent_runs(variance: str, low: float, high: float) -> None:
    """Bands of three standard deviations around four runs of another implementation, importance weighted."""
    env = envs.make("shifted_laplacian", variance=variance)
    weighted, reduced = (
        mean_iterations(binned(-0.15, 0.65, estimator=estimator), env, seed=2) for estimator in ESTIMATORS
    )
    plain = mean_iterations(catalog.make("tsallis_inf", scale="running_mean", reward_max=-1.0), env, seed=2)
    assert low < weighted < high
    assert low - 4 < reduced < high
    assert max(weighted, reduced) < plain
