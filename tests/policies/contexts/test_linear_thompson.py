"""Linear Thompson sampling: its law for two actions in closed form, draws by that law, and sets of fewer actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from onearm.engine import loop
from onearm.engine.draws import POLICY, normal, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import appraise, probability, select
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)


def course(shape: tuple[int, ...] = (2,), k: int = 2, steps: int = 30, **params: Any) -> tuple[Any, Any]:
    """Return a policy and its state after some feedbacks."""
    policy = catalog.make("linear_thompson", **params)
    state = policy.init(policy.params, Problem(k, shape))
    rng = np.random.default_rng(1)
    for t in range(steps):
        instance = Instance(t, rng.normal(size=shape), np.ones(k, np.bool_))
        decision = Decision(int(rng.integers(k)), 0.5)
        feedback = Feedback(float(rng.normal()), np.zeros(0))
        loop.learn(policy.params, state, instance, decision, feedback, Key(RUN, t))
    return policy, state


def law(policy: Any, state: Any, instance: Instance) -> list[float]:
    return [probability(policy.params, state, instance, a) for a in range(len(instance.available))]


def test_two_actions_are_played_by_the_normal_law_of_their_difference() -> None:
    for v in (0.1, 1.0, 5.0):
        policy, state = course(v=v)
        instance = Instance(30, np.array([0.4, -1.0]), np.ones(2, np.bool_))
        scores, sds = np.zeros(2), np.zeros(2)
        appraise(policy.params, state, instance, scores, sds)
        first = norm.cdf((scores[0] - scores[1]) / np.hypot(*sds))
        assert law(policy, state, instance) == pytest.approx([first, 1 - first], abs=1e-9)


def test_the_width_is_v_standard_errors() -> None:
    policy, state = course(v=3.0, steps=0, regularisation=2.0, scaling="none")
    scores, sds = np.zeros(2), np.zeros(2)
    appraise(policy.params, state, Instance(0, np.array([3.0, 4.0]), np.ones(2, np.bool_)), scores, sds)
    assert sds == pytest.approx(3.0 * 5.0 / np.sqrt(2.0))


@pytest.mark.usefixtures("coarse_quadrature")
def test_the_action_is_drawn_from_the_law() -> None:
    policy, state = course(v=1.0, k=3, shape=(2,))
    available = np.array([True, False, True])
    context = np.array([0.4, -1.0])
    expected = law(policy, state, Instance(0, context, available))
    assert expected[1] == 0.0
    n = 400
    made = [select(policy.params, state, Instance(t, context, available), Key(RUN, t)) for t in range(n)]
    assert all(decision.propensity == expected[decision.action] for decision in made)
    share = np.mean([decision.action == 0 for decision in made])
    assert share == pytest.approx(expected[0], abs=4 * np.sqrt(expected[0] * (1 - expected[0]) / n))


def test_a_smaller_set_has_the_law_of_its_own_after_a_larger_one() -> None:
    policy, state = course(v=1.0, k=4, shape=(4, 2))
    rows = np.random.default_rng(2).normal(size=(4, 2))
    before = law(policy, state, Instance(0, rows[:2].copy(), np.ones(2, np.bool_)))
    law(policy, state, Instance(0, rows, np.ones(4, np.bool_)))
    assert law(policy, state, Instance(0, rows[:2].copy(), np.ones(2, np.bool_))) == before
    assert sum(before) == pytest.approx(1.0)


def test_without_width_the_highest_score_is_played_and_equal_ones_alike() -> None:
    policy, state = course(v=1.0, scaling="none")
    nothing = Instance(30, np.zeros(2), np.ones(2, np.bool_))
    assert law(policy, state, nothing) == pytest.approx([0.5, 0.5])


def test_without_propensities_each_score_is_a_draw_of_its_own() -> None:
    policy, state = course(v=2.0, propensities=False)
    for t in range(50):
        instance = Instance(t, np.array([0.4, -1.0]), np.ones(2, np.bool_))
        scores, sds = np.zeros(2), np.zeros(2)
        appraise(policy.params, state, instance, scores, sds)
        drawn = [scores[a] + sds[a] * normal(Key(RUN, t), a) for a in (0, 1)]
        decision = select(policy.params, state, instance, Key(RUN, t))
        assert decision.action == int(np.argmax(drawn))
        assert np.isnan(decision.propensity)


@pytest.mark.jit
def test_it_earns_as_much_with_the_law_as_with_draws() -> None:
    env = envs.make("linear", arms=5, dimension=4)
    regret = []
    for propensities in (True, False):
        policy = catalog.make("linear_thompson", v=0.5, propensities=propensities)
        curve = simulate(policy, env, horizon=3000, replications=4, seed=1)
        regret.append(curve.regret[:, -1].mean())
    uniform = simulate(catalog.make("uniform"), env, horizon=3000, replications=4, seed=1).regret[:, -1].mean()
    assert max(regret) < uniform / 5
    assert regret[0] == pytest.approx(regret[1], rel=0.35)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"v": 0.0}, "v is 0"),
        ({"propensities": 1}, "propensities is 1"),
        ({"regularisation": -1}, "regularisation is -1"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("linear_thompson", **params)
