"""Exact optima: golden numbers, dominance over any other policy, and the loss against every order of answers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from support.every_run import every_run

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.losses import exact_losses, grid_instances
from onearm.engine.hardness.exact.optimum import minimax, robust
from onearm.engine.hardness.exact.states import count_states, uniform
from onearm.engine.task import Task, best_arm, thresholds
from onearm.engine.trained.tables import TablePolicy, binomials, table_row

BITS, SIGNS = [0.1, 0.3, 0.5, 0.7, 0.9], [-0.8, -0.4, 0.4, 0.8]
# task, budget, grid, levels: instances of each level, least losses, gap of the robust policy, losses of uniform
GOLDEN = {
    "two arms": (
        *(best_arm(2, "bits"), 6, BITS, [3.5, 13.0, 60.0], [2, 12, 20]),
        *([0.008560, 0.163080, 0.312500], 0.0, [0.008560, 0.163080, 0.314500]),
    ),
    "two arms, ten answers": (
        *(best_arm(2, "bits"), 10, BITS, [3.5, 13.0, 60.0], [2, 12, 20]),
        *([0.000891, 0.098809, 0.259639], 0.0, [0.000891, 0.098809, 0.262596]),
    ),
    "three arms": (
        *(best_arm(3, "bits"), 6, BITS, [8.0, 20.0, 80.0], [9, 42, 90]),
        *([0.065341, 0.290676, 0.476222], 0.005501, [0.114400, 0.333600, 0.506667]),
    ),
    "three arms, simple regret": (
        *(best_arm(3, "bits", "simple_regret"), 6, BITS, [8.0, 20.0, 80.0], [9, 42, 90]),
        *([0.042232, 0.116270, 0.116270], 0.002473, [0.072800, 0.133440, 0.133440]),
    ),
    "thresholds": (
        *(thresholds(3, "signs", "identification"), 6, SIGNS, [4.0, 8.0, 30.0], [8, 14, 46]),
        *([0.065826, 0.104199, 0.385344], 0.018463, [0.196520, 0.237884, 0.544324]),
    ),
}
Case = tuple[Task, int, list[float], list[float], list[int], list[float], float, list[float]]


@pytest.mark.parametrize("name", every_run(GOLDEN, ["two arms", "thresholds"]))
def test_the_optima_are_the_golden_numbers(name: str) -> None:
    task, budget, grid, levels, counts, least, gap, _ = GOLDEN[name]
    found = robust(task, budget, grid, levels)
    assert [len(grid_instances(task, grid, level)) for level in levels] == counts
    np.testing.assert_allclose(found.offsets, least, atol=1e-5)
    assert found.gap == pytest.approx(gap, abs=1e-5)
    # The robust policy is at no level better than the minimax one, and nowhere more than the gap above it.
    assert (found.losses >= found.offsets - 1e-7).all()
    assert (found.losses <= found.offsets + found.gap + 1e-7).all()
    losses = [exact_losses(found.policy, grid_instances(task, grid, level)).max() for level in levels]
    np.testing.assert_allclose(found.losses, losses, atol=1e-12)


@pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN)
def test_uniform_loses_the_golden_numbers(case: Case) -> None:
    task, budget, grid, levels, _, _, _, expected = case
    policy = uniform(task, budget)
    losses = [exact_losses(policy, grid_instances(task, grid, level)).max() for level in levels]
    np.testing.assert_allclose(losses, expected, atol=2e-6)


def random_policy(task: Task, budget: int, seed: int) -> TablePolicy:
    rng = np.random.default_rng(seed)
    states = count_states(task, budget)
    query = rng.exponential(size=(states.n_open, task.n_queries)) ** 3
    recommendation = rng.exponential(size=(len(states.asked), task.n_hypotheses)) ** 3
    return TablePolicy(
        task,
        budget,
        query / query.sum(axis=1, keepdims=True),
        recommendation / recommendation.sum(axis=1, keepdims=True),
    )


@pytest.mark.parametrize("task", [best_arm(2, "bits"), thresholds(2), best_arm(2, "signs", "simple_regret")])
def test_the_loss_is_that_of_every_order_of_queries_and_answers(task: Task) -> None:
    policy, means = random_policy(task, 3, 0), np.array([0.7, 0.2])
    chance = means if task.answers == "bits" else 0.5 * (1.0 + means)
    sums, cost = binomials(2, 3), task.losses(means)
    total = 0.0
    for steps in product(product(range(2), range(2)), repeat=3):
        count, up, weight = np.zeros(2, np.int64), np.zeros(2, np.int64), 1.0
        for query, answer in steps:
            weight *= policy.query[table_row(sums, count, up), query]
            weight *= chance[query] if answer else 1.0 - chance[query]
            count[query] += 1
            up[query] += answer
        total += weight * float(policy.recommendation[table_row(sums, count, up)] @ cost)
    assert exact_losses(policy, means[None])[0] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize(("seed", "objective"), [(0, "identification"), (1, "simple_regret"), (2, "identification")])
def test_no_other_policy_has_a_smaller_worst_loss_or_gap(seed: int, objective: str) -> None:
    task, levels = best_arm(2, "bits", objective), [3.5, 13.0]
    best = robust(task, 4, BITS, levels)
    other = random_policy(task, 4, seed) if seed else uniform(task, 4)
    worst = [exact_losses(other, grid_instances(task, BITS, level)).max() for level in levels]
    assert (np.array(worst) >= best.offsets - 1e-7).all()
    assert (worst - best.offsets).max() >= best.gap - 1e-7


def test_the_optimum_treats_arms_alike() -> None:
    task = best_arm(3, "bits")
    policy = minimax(task, 4, [0.2, 0.5, 0.8], 30.0).policy
    states, sums, order = count_states(task, 4), binomials(3, 4), [2, 0, 1]
    asymmetric = 0
    for row in range(len(states.asked)):
        other = table_row(sums, states.asked[row, order], states.up[row, order])
        np.testing.assert_allclose(policy.recommendation[other], policy.recommendation[row, order], atol=1e-6)
        if row < states.n_open:
            np.testing.assert_allclose(policy.query[other], policy.query[row, order], atol=1e-6)
            asymmetric += bool(np.ptp(policy.query[row]) > 0.1)
    assert asymmetric > 20  # it is not uniform, which would treat them alike as well


def test_given_offsets_are_what_gaps_are_counted_from() -> None:
    task = best_arm(2, "bits")
    free = robust(task, 4, BITS, [3.5, 60.0], [0.0, 0.0])  # the plain minimax over the harder level
    hard = minimax(task, 4, BITS, 60.0)
    assert free.gap == pytest.approx(hard.losses[0], abs=1e-7)


@pytest.mark.parametrize(
    ("levels", "offsets", "words"),
    [([], None, "must ascend"), ([13.0, 3.5], None, "must ascend"), ([3.5, 13.0], [0.1], "one for each")],
)
def test_levels_that_do_not_fit_are_refused(levels: list[float], offsets: list[float] | None, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        robust(best_arm(2, "bits"), 4, BITS, levels, offsets)


def test_a_level_without_means_on_the_grid_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"difficulty of 0\.1 or less: take a larger level"):
        minimax(best_arm(2, "bits"), 4, BITS, 0.1)
