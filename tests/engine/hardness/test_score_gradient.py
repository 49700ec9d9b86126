"""Score-function gradients: against exact ones, without bias, and with less variance by the control variate."""

from __future__ import annotations

import numpy as np
import pytest
from support.exact_gradient import exact_gradient
from support.uniform_rollouts import play_uniform

from onearm.engine.hardness.exact.losses import exact_losses
from onearm.engine.hardness.exact.states import uniform
from onearm.engine.hardness.score_gradient import (
    advantages,
    frequencies,
    losses_of,
    rollout_gradient,
    score_gradient,
    scores,
    tally,
)
from onearm.engine.task import Task, best_arm, thresholds

CASES = {
    "bits": (best_arm(3, "bits"), [0.7, 0.5, 0.3]),
    "signs": (thresholds(3, loss="identification"), [0.6, -0.2, -0.5]),
    "simple regret": (thresholds(3), [0.6, -0.2, -0.5]),
    "simple regret of bits": (best_arm(3, "bits", "simple_regret"), [0.7, 0.5, 0.3]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_estimate_is_within_four_standard_errors_of_the_exact_gradient(case: str) -> None:
    task, theta = CASES[case]
    exact = exact_gradient(uniform(task, 6), np.array(theta))
    means = np.tile(theta, (2000, 1))
    found = rollout_gradient(task, means, *play_uniform(task, means, 32, seed=3))
    stderr = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - exact) <= 4.0 * stderr).all()
    assert (4.0 * stderr < 0.3 * np.abs(exact).max()).all()  # or it would say little


@pytest.mark.parametrize("case", CASES)
def test_the_exact_gradient_is_that_of_differences_of_the_exact_loss(case: str) -> None:
    task, theta = CASES[case]
    policy = uniform(task, 6)
    for j, slope in enumerate(exact_gradient(policy, np.array(theta))):
        step = 1e-5 * np.eye(3)[j]
        around = exact_losses(policy, np.array([theta + step, theta - step]))
        assert (around[0] - around[1]) / 2e-5 == pytest.approx(slope, abs=1e-7)


def test_the_control_variate_halves_the_variance_at_least() -> None:
    task, theta = CASES["bits"]
    theta = [0.6, 0.5, 0.4]  # where a policy is wrong about as often as right
    means = np.tile(theta, (1000, 1))
    queries, answers, recommended = play_uniform(task, means, 32, seed=4)
    counts, sums = tally(queries, answers, 3)
    losses = losses_of(task, means, recommended)
    with_it = score_gradient(task, means, counts, sums, losses)
    without = (losses[:, :, None] * scores(task, means[:, None], counts, sums)).mean(axis=1)
    assert (without.var(axis=0) >= 2.0 * with_it.var(axis=0)).all()


@pytest.mark.parametrize(
    ("task", "theta", "answers"),
    [
        (best_arm(2), [0.3, -1.0], [0.5, 2.0, -1.5]),
        (best_arm(2, "signs"), [0.3, -0.6], [1.0, -1.0, 1.0]),
        (best_arm(2, "bits"), [0.3, 0.6], [1.0, 0.0, 1.0]),
    ],
    ids=["normal", "signs", "bits"],
)
def test_scores_are_gradients_of_the_logarithm_of_the_density(
    task: Task, theta: list[float], answers: list[float]
) -> None:
    queries = np.array([0, 1, 0])

    def log_density(means: np.ndarray) -> float:
        mean, answer = means[queries], np.array(answers)
        if task.answers == "normal":
            return float(-0.5 * ((answer - mean) ** 2).sum())
        chance = mean if task.answers == "bits" else 0.5 * (1.0 + mean)
        return float(np.log(np.where(answer > 0.0, chance, 1.0 - chance)).sum())

    counts, sums = tally(queries[None], np.array([answers]), 2)
    found = scores(task, np.array([theta]), counts, sums)[0]
    for j in range(2):
        step = 1e-6 * np.eye(2)[j]
        slope = (log_density(np.array(theta) + step) - log_density(np.array(theta) - step)) / 2e-6
        assert found[j] == pytest.approx(slope, abs=1e-6)


def test_an_advantage_is_the_loss_less_the_mean_of_the_others() -> None:
    losses = np.array([[1.0, 4.0, 7.0], [0.0, 0.0, 3.0]])
    assert advantages(losses).tolist() == [[1.0 - 5.5, 0.0, 7.0 - 2.5], [-1.5, -1.5, 3.0]]


def test_frequencies_and_tallies_count_each_row_for_itself() -> None:
    assert frequencies(np.array([[0, 0, 2, 0], [1, 1, 1, 1]]), 3).tolist() == [[0.75, 0.0, 0.25], [0.0, 1.0, 0.0]]
    queries = np.array([[[0, 0], [1, 0]], [[1, 1], [0, 1]]])
    counts, sums = tally(queries, np.arange(8.0).reshape(2, 2, 2), 2)
    assert counts.tolist() == [[[2, 0], [1, 1]], [[0, 2], [1, 1]]]
    assert sums.tolist() == [[[1.0, 0.0], [3.0, 2.0]], [[0.0, 9.0], [6.0, 7.0]]]
