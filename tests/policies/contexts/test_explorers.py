"""What all explorers over an oracle keep to, on each kind of context: units, permutations, exact laws, a home."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import explorers as x
from support.kinds.drawn import DRAWS, frequencies

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.growth import grown
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Instance, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

pytestmark = pytest.mark.usefixtures("coarse_quadrature")
OVER_AN_ORACLE = ("bag", "fastcb", "linear_greedy", "logistic_thompson", "regcb", "softmax", "squarecb")
FEW = {"bag": {"models": 3}}  # of twenty each learns as Python
RANDOM = ("bag", "fastcb", "linear_greedy", "logistic_thompson", "softmax", "squarecb")
FREE_OF_UNITS = ("bag", "fastcb", "linear_greedy", "regcb", "softmax", "squarecb")  # the others want rewards in [0, 1]
DENSE, ACTIONS = Problem(4, (3,)), Problem(4, (4, 3))
# A compiled specialisation costs 5 to 15 s for each policy and kind of context, these tests in plain Python a tenth of
# a second: the whole matrix runs without the JIT, and what is slow there, twenty models and a quadrature, with it.
COMPILED = ("bag", "logistic_thompson")  # as Python their draws take long


def either_way(names: tuple[str, ...], *compiled: str) -> list[Any]:
    """Return the names as cases of a test that runs with the JIT off, and on for some of them, as further cases."""
    further = (pytest.mark.jit, pytest.mark.slow)
    return [pytest.param(name, marks=further if name in compiled else ()) for name in names]


def made(name: str, **params: Any) -> Policy:
    return catalog.make(name, **FEW.get(name, {}), **params)


def contexts(problem: Problem, n: int) -> list[Instance]:
    rng = np.random.default_rng(8)
    return [x.instance(t, rng.normal(size=problem.context_shape), problem.n_arms) for t in range(n)]


@pytest.mark.covering
@pytest.mark.parametrize("problem", [DENSE, ACTIONS], ids=["dense", "actions"])
@pytest.mark.parametrize("name", FREE_OF_UNITS)
def test_the_unit_of_rewards_does_not_matter(name: str, problem: Problem) -> None:
    policy = made(name)
    one, thousand = (x.taught(policy, problem, 40, scale) for scale in (1.0, 1000.0))
    for at in contexts(problem, 10):
        assert x.law_of(policy, thousand, at) == pytest.approx(x.law_of(policy, one, at), rel=1e-6, abs=1e-12)
        assert x.decide(policy, thousand, at).action == x.decide(policy, one, at).action


@pytest.mark.covering
@pytest.mark.parametrize("problem", [DENSE, ACTIONS], ids=["dense", "actions"])
@pytest.mark.parametrize("name", OVER_AN_ORACLE)
def test_the_order_of_actions_does_not_matter(name: str, problem: Problem) -> None:
    """`order[a]` is the new number of action a; its probability moves with it."""
    policy = made(name)
    order = np.array([2, 0, 3, 1])
    plain, moved = x.taught(policy, problem, 40), x.taught(policy, problem, 40, order=order)
    for at in contexts(problem, 10):
        context = at.context[np.argsort(order)] if problem.context_kind == "actions" else at.context
        law = x.law_of(policy, moved, x.instance(at.t, context, 4))
        assert law[order] == pytest.approx(x.law_of(policy, plain, at), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", OVER_AN_ORACLE)
def test_action_sets_may_be_smaller_than_the_largest(name: str) -> None:
    """A set of two actions has the law of the same two among four of which the others are not available."""
    policy = made(name)
    state = x.taught(policy, ACTIONS, 40)
    for at in contexts(ACTIONS, 10):
        two = x.instance(at.t, at.context[:2].copy(), 2)
        masked = x.instance(at.t, at.context, available=np.array([True, True, False, False]))
        law = x.law_of(policy, state, two)
        assert law.tolist() == x.law_of(policy, state, masked)[:2].tolist()
        assert law.sum() == pytest.approx(1.0, abs=1e-12)
        assert x.decide(policy, state, two) == x.decide(policy, state, masked)
        x.learn(policy, state, two, 1, 0.5)


@pytest.mark.parametrize("problem", [DENSE, ACTIONS], ids=["dense", "actions"])
@pytest.mark.parametrize("name", OVER_AN_ORACLE)
def test_a_decision_is_explained(name: str, problem: Problem) -> None:
    """Parts sum to the score, widths are positive, and the law is that of the decision."""
    policy = made(name)
    state = x.taught(policy, problem, 40)
    at = contexts(problem, 1)[0]
    law, scores, widths, parts = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros((4, 4))
    loop.explain(policy.params, state, at, law, scores, widths, parts)
    assert parts.sum(axis=1) == pytest.approx(scores, rel=1e-9)
    assert (widths > 0.0).all()
    decision = x.decide(policy, state, at)
    assert law[decision.action] == decision.propensity


@pytest.mark.parametrize("name", OVER_AN_ORACLE)
def test_arms_may_join(name: str) -> None:
    """The others' probabilities keep their ratios where the newcomer's score is known not to change the best."""
    policy = made(name)
    state = x.taught(policy, DENSE, 60)
    larger = grown(policy, state, Problem(6, (3,)))
    for at in contexts(DENSE, 10):
        old = x.instance(at.t, at.context, available=np.array([True] * 4 + [False] * 2))
        assert x.law_of(policy, larger, old)[:4].tolist() == x.law_of(policy, state, at).tolist()
    x.learn(policy, larger, x.instance(99, np.ones(3), 6), 5, 1.0)


@pytest.mark.parametrize("name", either_way(RANDOM, *COMPILED))
def test_frequencies_are_the_law_where_actions_have_contexts(name: str) -> None:
    """The kernels that draw are those of test_arm_policies.py, which counts the draws of each compiled policy."""
    assert_frequencies(name, ACTIONS, DRAWS if name == "bag" else 5000)


@pytest.mark.jit
@pytest.mark.parametrize("name", ["bag", "squarecb"])
def test_frequencies_are_the_law_where_instances_have_contexts(name: str) -> None:
    assert_frequencies(name, DENSE, DRAWS)


def assert_frequencies(name: str, problem: Problem, draws: int) -> None:
    policy = made(name)
    state = x.taught(policy, problem, 30)
    context = contexts(problem, 1)[0].context
    at = Instance(0, context, np.array([True, True, False, True]))
    found = frequencies(policy.params, state, at, run_key(1, 0, POLICY), draws)
    law = x.law_of(policy, state, at)
    assert (np.abs(found - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws)).all()


@pytest.mark.parametrize("name", OVER_AN_ORACLE)
def test_contexts_are_used(name: str) -> None:
    """Iris has three kinds of flowers, of which uniform guesses a third; 150 decisions are one pass."""
    params = {"propensities": False} if name == "logistic_thompson" else {}
    found = simulate(made(name, **params), envs.make("classification", dataset="iris"), horizon=150, seed=1)
    assert found.reward[:, -1].mean() / 150 > 0.6


@pytest.mark.parametrize("name", [name for name in OVER_AN_ORACLE if name != "logistic_thompson"])
def test_named_features_are_used(name: str) -> None:
    world = envs.make("named", env={"name": "classification", "params": {"dataset": "iris"}})
    found = simulate(made(name), world, horizon=150, seed=1)
    assert found.reward[:, -1].mean() / 150 > 0.5


@pytest.mark.covering
@pytest.mark.parametrize("k", [6, 7, 10, 11])
@pytest.mark.parametrize(
    ("name", "params"),
    [(name, {}) for name in ("squarecb", "fastcb", "softmax", "fourier_softmax")] + [("squarecb", {"origin": 5.0})],
)
def test_a_row_of_the_log_that_is_wider_than_the_call_has_the_law_of_the_call(
    name: str, params: dict[str, float], k: int
) -> None:
    """A page of the log has the width of its largest call: `verify` has to find the same bits there."""
    policy, width = catalog.make(name, **params), 16
    rng = np.random.default_rng(k)
    state = policy.init(policy.params, Problem(width, (width, 3)))
    for t in range(24):
        rows = rng.normal(size=(k, 3))
        at = Instance(t, rows, np.ones(k, np.bool_))
        x.learn(policy, state, at, int(rng.integers(k)), float(rng.normal()))
    differ = 0
    for t in range(24, 36):
        rows, there = rng.normal(size=(k, 3)), np.arange(width) < k
        called = x.law_of(policy, state, Instance(t, rows, np.ones(k, np.bool_)))
        logged = x.law_of(policy, state, Instance(t, np.pad(rows, ((0, width - k), (0, 0))), there))
        differ += logged[:k].tolist() != called.tolist()
    assert differ == 0
