"""Ridge oracles: against NumPy's solution of the same sums, also forgetting, ill-conditioned and starting over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.growth import padded
from onearm.engine.kernel import loop
from onearm.engine.oracles.action_ridge import action_ridge
from onearm.engine.oracles.arm_ridge import ArmRidge, arm_ridge
from onearm.engine.oracles.choice import oracle
from onearm.engine.oracles.oracle import fit, predict, split, spread
from onearm.engine.oracles.ridge import INTERCEPT, WARM
from onearm.engine.vocabulary import Array, Problem

MANY = 2000


@loop
def learn_all(model: Any, contexts: Array, actions: Array, rewards: Array, weights: Array) -> None:
    for t in range(len(actions)):
        fit(model, contexts[t], actions[t], rewards[t], weights[t])


@loop
def ask(model: Any, context: Array, available: Array, scores: Array, widths: Array) -> None:
    predict(model, context, available, scores)
    spread(model, context, available, widths)


def answers(model: Any, context: Array, k: int) -> tuple[Array, Array]:
    scores, widths = np.zeros(k), np.zeros(k)
    ask(model, context, np.ones(k, np.bool_), scores, widths)
    return scores, widths


def stream(n: int, d: int, k: int, seed: int = 1) -> tuple[Array, Array, Array, Array]:
    """Return contexts in units from 1e-3 to 1e3 and far from 0, arms, rewards and weights."""
    rng = np.random.default_rng(seed)
    units = np.logspace(-3, 3, d)
    contexts = (rng.normal(size=(n, d)) + 5.0) * units
    actions = rng.integers(0, k, n)
    rewards = contexts @ (rng.normal(size=d) / units) + actions + rng.normal(size=n)
    return contexts, actions, rewards, rng.choice([1.0, 0.5, 3.0], n)


def coordinates(contexts: Array, clip: float) -> Array:
    """Return what the model makes of contexts: the first 64 give the scale."""
    mean, sd = contexts[:WARM].mean(0), contexts[:WARM].std(0)
    z = np.clip((contexts - mean) / sd, -clip, clip) / np.sqrt(contexts.shape[1])
    return np.column_stack([z, np.full(len(z), INTERCEPT)])


def solution(z: Array, rewards: Array, weights: Array, precision: float) -> tuple[Array, Array]:
    """Return (A, theta) of a ridge regression."""
    matrix = precision * np.eye(z.shape[1]) + (z * weights[:, np.newaxis]).T @ z
    return matrix, np.linalg.solve(matrix, z.T @ (weights * rewards))


@pytest.mark.parametrize("scaling", ["online", "none"])
def test_arms_are_the_ridge_regressions_of_numpy_after_thousands_of_feedbacks(scaling: str) -> None:
    k, d = 3, 6
    contexts, actions, rewards, weights = stream(MANY, d, k)
    if scaling == "none":
        contexts = contexts / np.logspace(-3, 3, d)
    model = arm_ridge(Problem(k, (d,)), regularisation=0.7, scaling=scaling)
    learn_all(model, contexts, actions, rewards, weights)
    z = contexts if scaling == "none" else coordinates(contexts, 2.0)
    scores, widths = answers(model, contexts[5], k)
    for a in range(k):
        mine = actions == a
        matrix, theta = solution(z[mine], rewards[mine], weights[mine], 0.7)
        assert model.theta[a] == pytest.approx(theta, abs=1e-9)
        assert scores[a] == pytest.approx(z[5] @ theta, abs=1e-9)
        assert widths[a] == pytest.approx(np.sqrt(z[5] @ np.linalg.solve(matrix, z[5])), abs=1e-9)
    assert model.repairs[0] == 0


@pytest.mark.parametrize("scaling", ["online", "none"])
def test_actions_share_the_ridge_regression_of_the_rows_that_were_chosen(scaling: str) -> None:
    k, d = 5, 4
    rng = np.random.default_rng(2)
    contexts = rng.normal(size=(MANY, k, d)) * [1.0, 2.0, 0.1, 1.0] + [0.0, 3.0, 1.0, -2.0]
    actions = rng.integers(0, k, MANY)
    chosen = contexts[np.arange(MANY), actions]
    rewards = chosen @ [1.0, -0.5, 2.0, 0.0] + rng.normal(size=MANY)
    model = action_ridge(Problem(k, (k, d)), regularisation=2.0, scaling=scaling)
    learn_all(model, contexts, actions, rewards, np.ones(MANY))
    z = chosen if scaling == "none" else coordinates(chosen, np.inf)
    matrix, theta = solution(z, rewards, np.ones(MANY), 2.0)
    assert model.theta[0] == pytest.approx(theta, abs=1e-9)
    asked = contexts[7, :3]  # a set of three
    mean, sd = chosen[:WARM].mean(0), chosen[:WARM].std(0)
    rows = asked if scaling == "none" else np.column_stack([(asked - mean) / sd / 2.0, np.full(3, INTERCEPT)])
    scores, widths = answers(model, asked, 3)
    assert scores == pytest.approx(rows @ theta, abs=1e-9)
    assert widths == pytest.approx(np.sqrt(np.diag(rows @ np.linalg.solve(matrix, rows.T))), abs=1e-9)


@pytest.mark.parametrize("hidden", [[], [0], [5, 6], [0, 3, 8, 10]])
def test_actions_are_predicted_alike_alone_and_with_neighbours_and_the_rest_is_left_alone(hidden: list[int]) -> None:
    k, d = 11, 9
    contexts = np.random.default_rng(0).normal(size=(70, k, d))
    model = action_ridge(Problem(k, (k, d)))
    learn_all(model, contexts, np.arange(70) % k, contexts[:, 0, 0] + 2.0, np.ones(70))
    expected, _ = answers(model, contexts[0], k)
    available = np.ones(k, np.bool_)
    available[hidden] = False
    contexts[0, hidden] = np.nan
    expected[hidden] = 7.0
    scores = np.full(k, 7.0)
    ask(model, contexts[0], available, scores, np.zeros(k))
    assert scores.tolist() == expected.tolist()
    for a in np.flatnonzero(available):
        only = np.arange(k) == a
        ask(model, contexts[0], only, scores, np.zeros(k))
    assert scores.tolist() == expected.tolist()


def test_the_first_feedbacks_are_learned_anew_when_the_scale_changes() -> None:
    contexts, actions, rewards, weights = stream(WARM, 3, 2)
    for n in (2, 4, 8, 16):
        model = arm_ridge(Problem(2, (3,)), regularisation=0.5)
        learn_all(model, contexts[:n], actions[:n], rewards[:n], weights[:n])
        z = np.clip((contexts[:n] - contexts[:n].mean(0)) / contexts[:n].std(0), -2, 2) / np.sqrt(3)
        z = np.column_stack([z, np.full(n, INTERCEPT)])
        for a in (0, 1):
            mine = actions[:n] == a
            _, theta = solution(z[mine], rewards[:n][mine], weights[:n][mine], 0.5)
            assert model.theta[a] == pytest.approx(theta, abs=1e-10)


def test_units_and_origins_of_features_do_not_matter() -> None:
    contexts, actions, rewards, weights = stream(500, 4, 2)
    moved = contexts * [1e-2, 1e4, -1.0, 7.0] + [10.0, -5.0, 0.0, 1e5]
    models = [arm_ridge(Problem(2, (4,))) for _ in range(2)]
    learn_all(models[0], contexts, actions, rewards, weights)
    learn_all(models[1], moved, actions, rewards, weights)
    for t in range(5):
        for one, other in zip(answers(models[0], contexts[t], 2), answers(models[1], moved[t], 2), strict=True):
            assert one == pytest.approx(other, rel=1e-6)


def test_a_feature_that_never_varied_counts_from_where_it_does() -> None:
    rng = np.random.default_rng(3)
    contexts = np.column_stack([rng.normal(size=300), np.full(300, 12.0)])
    contexts[100::2, 1] = 15.0
    rewards = np.where(contexts[:, 1] == 15.0, 1.0, 0.0)
    model = arm_ridge(Problem(1, (2,)))
    actions, weights = np.zeros(300, np.int64), np.ones(300)
    learn_all(model, contexts[:100], actions[:100], rewards[:100], weights[:100])
    assert model.factor[1] == 0.0
    assert answers(model, np.array([0.0, 1e9]), 1) == answers(model, np.array([0.0, 12.0]), 1)
    learn_all(model, contexts[100:], actions[100:], rewards[100:], weights[100:])
    assert model.factor[1] == pytest.approx(1 / (3.0 * np.sqrt(2)))
    assert answers(model, np.array([0.0, 15.0]), 1)[0][0] == pytest.approx(1.0, abs=0.1)
    assert answers(model, np.array([0.0, 12.0]), 1)[0][0] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("scaling", ["online", "none"])
def test_forgetting_is_the_ridge_regression_of_weights_that_halve(scaling: str) -> None:
    n, half_life = 300, 20
    contexts, _, rewards, _ = stream(n, 3, 1)
    contexts = contexts / np.logspace(-3, 3, 3)
    model = arm_ridge(Problem(1, (3,)), regularisation=0.7, half_life=half_life, scaling=scaling)
    learn_all(model, contexts, np.zeros(n, np.int64), rewards, np.ones(n))
    z = contexts if scaling == "none" else coordinates(contexts, 2.0)
    weights = 0.5 ** ((n - 1 - np.arange(n)) / half_life)
    assert n % half_life == 0  # the last feedback restored the prior
    matrix, theta = solution(z, rewards, weights, 0.7)
    assert model.theta[0] == pytest.approx(theta, abs=1e-9)
    widths = answers(model, contexts[5], 1)[1]
    assert widths[0] == pytest.approx(np.sqrt(z[5] @ np.linalg.solve(matrix, z[5])), abs=1e-9)
    learn_all(model, contexts[:7], np.zeros(7, np.int64), rewards[:7], np.ones(7))  # the prior fades for a while
    weights = np.append(weights * 0.5 ** (7 / half_life), 0.5 ** ((6 - np.arange(7)) / half_life))
    z7 = np.concatenate([z, z[:7]])
    matrix, theta = solution(z7, np.append(rewards, rewards[:7]), weights, 0.7 * 0.5 ** (7 / half_life))
    assert model.theta[0] == pytest.approx(theta, abs=1e-9)


def test_forgetting_keeps_half_of_the_prior_at_least_over_hundreds_of_half_lives_of_equal_contexts() -> None:
    half_life, n = 5, 1_500
    model = arm_ridge(Problem(2, (4,)), regularisation=0.8, half_life=half_life, scaling="none")
    contexts = np.tile([1.0, -2.0, 0.5, 3.0], (n, 1))
    for part in np.split(contexts, 30):
        learn_all(model, part, np.zeros(len(part), np.int64), np.ones(len(part)), np.ones(len(part)))
        learn_all(model, part[:7], np.zeros(7, np.int64), np.ones(7), np.ones(7))
        for a in (0, 1):
            form = model.inverse[a]
            inverse = (form + form.T) / 2 * model.weight[0]
            values = np.linalg.eigvalsh(inverse)
            assert values[0] > 0.0
            assert values[-1] <= 2.0 / 0.8 + 1e-9
    assert model.theta[0] @ contexts[0] == pytest.approx(1.0, abs=0.01)


def test_ill_conditioned_streams_stay_near_the_solution_of_least_squares() -> None:
    n, d = 3_000, 5
    rng = np.random.default_rng(4)
    contexts = rng.normal(size=(n, 1)) + 1e-4 * rng.normal(size=(n, d))  # five copies of one feature, nearly
    rewards = contexts.sum(1) + rng.normal(size=n)
    model = arm_ridge(Problem(1, (d,)), regularisation=1e-3, scaling="none")
    learn_all(model, contexts, np.zeros(n, np.int64), rewards, np.ones(n))
    stacked = np.concatenate([contexts, np.sqrt(1e-3) * np.eye(d)])
    theta = np.linalg.lstsq(stacked, np.append(rewards, np.zeros(d)), rcond=None)[0]
    assert np.linalg.cond(stacked) ** 2 > 1e7
    assert model.theta[0] == pytest.approx(theta, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("damage", ["theta", "inverse", "nan"])
def test_a_broken_solution_is_found_out_and_solved_again(damage: str) -> None:
    contexts, actions, rewards, weights = stream(200, 3, 2)
    contexts = contexts / np.logspace(-3, 3, 3)
    model = arm_ridge(Problem(2, (3,)), scaling="none")
    learn_all(model, contexts[:150], actions[:150], rewards[:150], weights[:150])
    if damage == "theta":
        model.theta[:] += 1e-3
    elif damage == "inverse":
        model.inverse[:] *= -1.0
    else:
        model.theta[:, 1] = np.nan
    learn_all(model, contexts[150:], actions[150:], rewards[150:], weights[150:])
    assert model.repairs[0] == 1
    for a in (0, 1):
        mine = actions == a
        assert model.theta[a] == pytest.approx(solution(contexts[mine], rewards[mine], weights[mine], 1.0)[1], abs=1e-9)


def test_numbers_at_the_ends_of_the_range_leave_finite_answers() -> None:
    model = arm_ridge(Problem(2, (3,)))
    rng = np.random.default_rng(5)
    for t in range(100):
        size = [1.0, 1e-300, 1e300, 0.0][t % 4]
        fit(model, size * rng.normal(size=3), t % 2, [1.0, -1e100, 1e100][t % 3], 1.0)
    scores, widths = answers(model, np.array([1e308, -1e308, 1e-308]), 2)
    assert np.isfinite(scores).all()
    assert np.isfinite(widths).all()


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_the_parts_of_a_prediction_sum_to_it(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    model = oracle(Problem(2, shape))
    for _ in range(100):
        fit(model, rng.normal(size=shape), int(rng.integers(2)), rng.normal(), 1.0)
    context = rng.normal(size=shape)
    parts = np.full(6, 9.0)
    split(model, context, 1, parts)
    assert parts.sum() == pytest.approx(answers(model, context, 2)[0][1], abs=1e-14)
    assert parts[4:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_a_model_says_how_far_each_prediction_was_off_before_it_was_learned(shape: tuple[int, ...]) -> None:
    """What explorers take for the noise of rewards."""
    model, rng = oracle(Problem(2, shape)), np.random.default_rng(6)
    for t in range(WARM + 10):
        context, action, reward = rng.normal(size=shape), t % 2, float(rng.normal())
        predicted = answers(model, context, 2)[0][action]
        assert fit(model, context, action, reward, 1.0) == pytest.approx(reward - predicted, rel=1e-9, abs=1e-12)


def test_new_arms_start_from_the_prior_with_the_scale_that_was_found() -> None:
    contexts, actions, rewards, weights = stream(100, 3, 2)
    small = arm_ridge(Problem(2, (3,)))
    learn_all(small, contexts, actions, rewards, weights)
    large: ArmRidge = padded(small, arm_ridge(Problem(4, (3,))))
    whole = arm_ridge(Problem(4, (3,)))
    learn_all(whole, contexts, actions, rewards, weights)
    for t in range(5):
        for one, other in zip(answers(large, contexts[t], 4), answers(whole, contexts[t], 4), strict=True):
            assert one.tolist() == other.tolist()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"regularisation": 0.0}, "regularisation is 0"),
        ({"half_life": 0.5}, "half_life is 0.5"),
        ({"scaling": "batch"}, "scaling is 'batch'"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        oracle(Problem(2, (3,)), **params)


@pytest.mark.parametrize("make", [arm_ridge, action_ridge])
@pytest.mark.parametrize("scaling", ["online", "none"])
@pytest.mark.parametrize("size", [1e30, 1e150, 1.7e308])
def test_the_largest_numbers_there_are_leave_finite_ones(make: Any, scaling: str, size: float) -> None:
    """Early ones, from which the scale is found, and late ones, with an old feedback forgotten soon."""
    k, d = 2, 3
    problem = Problem(k, (d,) if make is arm_ridge else (k, d))
    model = make(problem, scaling=scaling, half_life=5.0)
    rng = np.random.default_rng(4)
    for t in range(100):
        context = rng.uniform(-1.0, 1.0, problem.context_shape)
        if t in (9, 70, 71, 90):
            context *= size
        with np.errstate(over="ignore", invalid="ignore"):  # on the way to a finite answer, without the JIT
            fit(model, context, t % k, 1e100 * rng.normal(), 1.0)
            scores, widths = answers(model, context, k)
        assert np.isfinite(scores).all() and np.isfinite(widths).all()
    for name, array in zip(model._fields, model, strict=True):
        assert np.isfinite(array).all(), name


def test_without_scaling_a_number_beyond_1e15_counts_as_that() -> None:
    one, other = (arm_ridge(Problem(1, (2,)), scaling="none") for _ in range(2))
    fit(one, np.array([3e15, 1.0]), 0, 1.0, 1.0)
    fit(other, np.array([1e15, 1.0]), 0, 1.0, 1.0)
    assert one.theta.tobytes() == other.theta.tobytes()
    assert one.theta[0] == pytest.approx([1e-15, 1e-30], rel=1e-6)
