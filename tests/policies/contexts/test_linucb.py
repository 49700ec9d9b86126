"""LinUCB: a step by hand, the expectations of MABWiser, and a NumPy twin of the paper's algorithm over 3000 steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.every_run import every_run

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.protocol import appraise, attribute, probability
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
NO_DETAIL = np.zeros(0)
# MABWiser 2.7.4: MAB([0, 1, 2], LearningPolicy.LinUCB(alpha=1.25, l2_lambda=0.6)).fit(...), predict_expectations(...)
SEEN = [
    ([0, 1, 2, 3, 5], 1, 0),
    ([1, 1, 1, 1, 1], 1, 1),
    ([0, 0, 1, 0, 0], 0, 1),
    ([0, 2, 2, 3, 5], 2, 0),
    ([1, 3, 1, 1, 1], 1, 1),
    ([0, 0, 0, 0, 0], 0, 0),
    ([0, 1, 4, 3, 5], 2, 1),
    ([0, 1, 2, 4, 5], 0, 1),
]
EXPECTED = [
    ([0, 1, 2, 3, 5], [2.734040527399107, 1.2960688301213472, 1.8711638821506253], 0),
    ([1, 1, 1, 1, 1], [2.7016047333461826, 1.6305299840737308, 2.1140525301019344], 0),
    ([0.5, -1, 0, 2, 0], [3.2433581974210153, 3.231630828688864, 3.658884429126874], 2),
]


def instance_of(context: Any, t: int = 0, k: int = 3) -> Instance:
    return Instance(t, np.array(context, dtype=np.float64), np.ones(k, np.bool_))


def decide(policy: Any, state: Any, instance: Instance) -> Decision:
    return Decision(*loop.decide(policy.params, state, instance, Key(RUN, instance.t)))


def learn(policy: Any, state: Any, instance: Instance, action: int, reward: float) -> None:
    loop.learn(policy.params, state, instance, Decision(action, 1.0), Feedback(reward, NO_DETAIL), Key(RUN, instance.t))


def bounds(policy: Any, state: Any, instance: Instance) -> Any:
    scores, widths = np.zeros(len(instance.available)), np.zeros(len(instance.available))
    appraise(policy.params, state, instance, scores, widths)
    return scores + widths


def test_a_step_by_hand() -> None:
    policy = catalog.make("linucb", alpha=2.0, regularisation=1.0, scaling="none", noise=1.0)
    state = policy.init(policy.params, Problem(2, (2,)))
    first = instance_of([3.0, 4.0], 0, 2)
    assert bounds(policy, state, first).tolist() == [10.0, 10.0]  # 2 |x|
    assert decide(policy, state, first) == (0, 1.0)  # of ties the lowest
    learn(policy, state, first, 0, 1.3)
    # A = I + x x', theta = x y / (1 + x'x) = (3, 4) 1.3 / 26, and x' A^-1 x = 25 / 26
    assert state.model.theta[0] == pytest.approx([0.15, 0.2])
    second = instance_of([3.0, 4.0], 1, 2)
    assert bounds(policy, state, second) == pytest.approx([1.25 + 2 * np.sqrt(25 / 26), 10.0])
    assert decide(policy, state, second) == (1, 1.0)
    across = instance_of([-4.0, 3.0], 2, 2)
    assert bounds(policy, state, across) == pytest.approx([10.0, 10.0])
    assert [probability(policy.params, state, second, a) for a in (0, 1)] == [0.0, 1.0]


def test_expectations_are_those_of_mabwiser() -> None:
    policy = catalog.make("linucb", alpha=1.25, regularisation=0.6, scaling="none", noise=1.0)
    state = policy.init(policy.params, Problem(3, (5,)))
    for t, (context, arm, reward) in enumerate(SEEN):
        learn(policy, state, instance_of(context, t), arm, float(reward))
    for context, expected, best in EXPECTED:
        assert bounds(policy, state, instance_of(context, 8)) == pytest.approx(expected, abs=1e-12)
        assert decide(policy, state, instance_of(context, 8)).action == best


@pytest.mark.jit
@pytest.mark.parametrize("action_features", every_run([False, True], [False]))
def test_thousands_of_steps_are_those_of_a_numpy_twin(action_features: bool) -> None:
    k, d, steps, alpha, precision = 4, 5, 3000, 0.7, 1.5
    policy = catalog.make("linucb", alpha=alpha, regularisation=precision, scaling="none", noise=1.0)
    state = policy.init(policy.params, Problem(k, (k, d) if action_features else (d,)))
    systems = 1 if action_features else k
    matrix, moment = np.array([precision * np.eye(d)] * systems), np.zeros((systems, d))
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(systems, d))
    of = np.zeros(k, np.int64) if action_features else np.arange(k)
    for t in range(steps):
        context, available = rng.normal(size=(k, d) if action_features else d), rng.random(k) < 0.6
        available[rng.choice(k, 2, replace=False)] = True
        x = context if action_features else np.tile(context, (k, 1))
        inverse = np.linalg.inv(matrix)
        scores = np.array([x[a] @ inverse[of[a]] @ moment[of[a]] for a in range(k)])
        widths = np.array([np.sqrt(x[a] @ inverse[of[a]] @ x[a]) for a in range(k)])
        upper = np.where(available, scores + alpha * widths, -np.inf)
        instance = Instance(t, context, available)
        action = decide(policy, state, instance).action
        assert upper[action] >= upper.max() - 1e-9
        reward = float(truth[of[action]] @ x[action] + rng.normal())
        learn(policy, state, instance, action, reward)
        matrix[of[action]] += np.outer(x[action], x[action])
        moment[of[action]] += reward * x[action]
    theta = np.array([np.linalg.solve(a, b) for a, b in zip(matrix, moment, strict=True)])
    assert state.model.theta == pytest.approx(theta, abs=1e-9)


@pytest.mark.slow
@pytest.mark.jit
def test_regret_flattens_where_rewards_are_linear() -> None:
    env = envs.make("linear", arms=5, dimension=4)
    curve = simulate(catalog.make("linucb"), env, horizon=10_000, replications=4, seed=1)
    half = np.searchsorted(curve.t, 1000)
    early = curve.regret[:, half].mean() / curve.t[half]
    late = (curve.regret[:, -1] - curve.regret[:, half]).mean() / (curve.t[-1] - curve.t[half])
    assert late < early / 4


@pytest.mark.slow
@pytest.mark.jit
def test_untuned_it_earns_nine_tenths_on_labelled_tables() -> None:
    found = []
    for dataset in ("wine", "breast_cancer"):
        env = envs.make("classification", dataset=dataset)
        curve = simulate(catalog.make("linucb"), env, horizon=env.problem.horizon, replications=10, seed=0)
        found.append(curve.reward[:, -1].mean() / env.problem.horizon)
    assert found[0] > 0.90
    assert found[1] > 0.94


def test_parts_and_bounds_explain_the_choice() -> None:
    env = envs.make("linear", arms=3, dimension=2)
    policy = catalog.make("linucb")
    simulation = Simulation(policy, env, horizon=100, seed=2)
    simulation.advance(100)
    instance = instance_of([0.3, -0.7], 100)
    scores, widths, parts = np.zeros(3), np.zeros(3), np.zeros(3)
    appraise(policy.params, simulation.state, instance, scores, widths)
    for a in range(3):
        attribute(policy.params, simulation.state, instance, a, parts)
        assert parts.sum() == pytest.approx(scores[a], abs=1e-14)
    assert decide(policy, simulation.state, instance).action == int(np.argmax(scores + widths))


def test_an_arm_that_joins_is_the_most_uncertain() -> None:
    env = envs.make("linear", arms=2, dimension=2)
    policy = catalog.make("linucb")
    simulation = Simulation(policy, env, horizon=200, seed=2)
    simulation.advance(200)
    state = grown(policy, simulation.state, Problem(3, (2,)))
    widths = bounds(policy, state, instance_of([0.1, 0.2])) - bounds(
        catalog.make("linucb", alpha=0.0), state, instance_of([0.1, 0.2])
    )
    assert int(np.argmax(widths)) == 2
    learn(policy, state, instance_of([0.1, 0.2], 200), 2, 1.0)
    assert state.model.model.model.theta[2].any()


def test_forgetting_follows_a_change() -> None:
    means = {}
    for half_life in (None, 20):
        policy = catalog.make("linucb", half_life=half_life)
        state = policy.init(policy.params, Problem(1, (1,)))
        rng = np.random.default_rng(1)
        for t in range(300):
            x = rng.normal(size=1)
            learn(policy, state, Instance(t, x, np.ones(1, np.bool_)), 0, float(x[0] if t < 200 else -x[0]))
        scores, widths = np.zeros(1), np.zeros(1)
        appraise(policy.params, state, Instance(300, np.ones(1), np.ones(1, np.bool_)), scores, widths)
        means[half_life] = scores[0]
    assert means[20] == pytest.approx(-1.0, abs=0.2)
    assert means[None] > 0.0


@pytest.mark.parametrize(
    ("params", "words"),
    [({"alpha": -1.0}, "alpha is -1"), ({"half_life": 0}, "half_life is 0"), ({"scaling": "all"}, "scaling is 'all'")],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("linucb", **params)
