"""Networks as kernels: against plain numpy, and what they owe to the symmetry of their task."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.small_artefacts import WIDTH, arm_layers, random_layers

from onearm.engine.kernel import loop
from onearm.engine.task import hypotheses, thresholds
from onearm.engine.trained.networks import ArmNet, FlatNet, NetWork, arm_net, arm_work, flat_net, flat_work, outputs
from onearm.engine.vocabulary import Array

ARM_WEIGHTS = arm_layers()


def linear(weights: dict[str, Array], layer: int, x: Array) -> Array:
    return x @ weights[f"w{layer}"].astype(np.float64).T + weights[f"b{layer}"]


def rectified(x: Array) -> Array:
    return np.maximum(x, 0.0)


def arms_in_numpy(budget: int, weights: dict[str, Array], visits: Array, count: Array, total: Array) -> Array:
    """Return the logits and scores of arms, [2, K], from the definition, in float64."""
    known = count > 0
    mean = np.where(known, total / np.maximum(count, 1), 0.0)
    best = mean[known].max(initial=-np.inf)
    leader = known & (mean == best)
    gap = np.where(known, mean - best, 0.0) if known.any() else np.zeros(len(count))
    z = np.zeros(len(count))
    rest = known & ~leader
    z[rest] = gap[rest] / np.sqrt(1 / count[rest] + 1 / count[leader].max(initial=1))
    runner_up = max(-4.0, (z[rest] / 2).max(initial=-np.inf))
    columns = [
        visits / budget,
        1 / np.sqrt(visits + 0.5),
        z / 2,
        gap / 2,
        leader / max(leader.sum(), 1),
        leader * (runner_up if leader.sum() == 1 else 0.0),
        visits == 0,
        np.full(len(count), visits.sum() / budget),
    ]
    h = rectified(linear(weights, 2, rectified(linear(weights, 1, np.stack(columns, axis=1)))))
    pooled = np.concatenate([h.mean(axis=0), h.max(axis=0)])
    both = linear(weights, 4, rectified(linear(weights, 3, np.concatenate([h, np.tile(pooled, (len(h), 1))], axis=1))))
    return np.stack([both[:, 0], both[:, 1] + 4 * mean])


def flat_in_numpy(budget: int, table: Array, weights: dict[str, Array], visits: Array, total: Array) -> Array:
    """Return the logits and then the scores, [n + m], from the definition, in float64."""
    value = table @ total
    x = np.concatenate([visits / 4, total / 2, (value - value.max()) / 4, [visits.sum() / budget]])
    out = linear(weights, 3, rectified(linear(weights, 2, rectified(linear(weights, 1, x)))))
    out[len(visits) :] += value
    return out


def run_arms(visits: Array, count: Array, total: Array, weights: dict[str, Array] = ARM_WEIGHTS) -> NetWork:
    net = arm_net(15, weights)
    work = arm_work(net, len(visits))
    ask(net, visits, count, total, work)
    return work


def ask(net: ArmNet | FlatNet, visits: Array, count: Array, total: Array, work: NetWork) -> None:
    with np.errstate(all="raise"):
        outputs(net, visits, count, total, work)


def history(seed: int, k: int) -> tuple[Array, Array, Array]:
    """Return visits, counts and sums, some of them without any answer, some with answers under way."""
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 4, k)
    count[rng.integers(k)] += 1
    visits = count + rng.integers(0, 2, k)
    return visits, count, np.where(count > 0, rng.normal(size=k) * 3, 0.0)


@pytest.mark.parametrize("seed", range(6))
def test_the_arm_net_is_its_definition(seed: int) -> None:
    visits, count, total = history(seed, 2 + seed)
    work = run_arms(visits, count, total)
    expected = arms_in_numpy(15, ARM_WEIGHTS, visits, count, total)
    assert np.abs(np.stack([work.logits, work.scores]) - expected).max() < 1e-5


def test_arms_without_any_answer_are_alike() -> None:
    nothing = np.zeros(3, np.int64)
    work = run_arms(nothing, nothing, np.zeros(3))
    assert np.ptp(work.logits) == np.ptp(work.scores) == 0.0
    expected = arms_in_numpy(15, ARM_WEIGHTS, nothing, nothing, np.zeros(3))
    assert np.abs(work.logits - expected[0]).max() < 1e-5


@pytest.mark.parametrize("task", [thresholds(4), hypotheses(np.random.default_rng(1).normal(size=(6, 3)))])
def test_the_flat_net_is_its_definition(task) -> None:  # type: ignore[no-untyped-def]
    n, m = task.n_queries, task.n_hypotheses
    weights = random_layers((WIDTH, 2 * n + m + 1), (WIDTH, WIDTH), (n + m, WIDTH))
    net = flat_net(20, task.table, weights)
    work = flat_work(net)
    for seed in range(4):
        visits, count, total = history(seed, n)
        ask(net, visits, count, total, work)
        expected = flat_in_numpy(20, task.table, weights, visits, total)
        assert np.abs(np.concatenate([work.logits, work.scores]) - expected).max() < 1e-5


def test_permuting_arms_permutes_logits_and_scores() -> None:
    for seed in range(5):
        visits, count, total = history(seed, 5)
        order = np.random.default_rng(seed).permutation(5)
        work, other = run_arms(visits, count, total), run_arms(visits[order], count[order], total[order])
        assert np.abs(work.logits[order] - other.logits).max() < 1e-5
        assert np.abs(work.scores[order] - other.scores).max() < 1e-5


def test_tied_leaders_are_treated_alike() -> None:
    count, total = np.array([2, 1, 2, 2]), np.array([1.0, -1.0, 1.0, 0.5])
    work = run_arms(count, count, total)
    assert work.logits[0] == work.logits[2] != work.logits[3]
    assert work.scores[0] == work.scores[2]
    assert work.features[:, 4].tolist() == [0.5, 0.0, 0.5, 0.0]
    assert work.features[:, 5].tolist() == [0.0] * 4  # a leader that shares its place has no runner-up


def test_leaders_of_different_counts_are_compared_by_the_largest() -> None:
    count, total = np.array([4, 1, 2]), np.array([4.0, 1.0, 1.0])
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        work = run_arms(count[order], count[order], total[order])
        z = -0.5 / math.sqrt(1 / 2 + 1 / 4)
        assert work.features[order.index(2), 2] == pytest.approx(z / 2, abs=1e-6)


def test_a_single_leader_sees_how_far_behind_the_next_one_is() -> None:
    far = run_arms(np.array([1, 1, 0]), np.array([1, 1, 0]), np.array([9.0, -9.0, 0.0]))
    near = run_arms(np.array([1, 1, 1]), np.array([1, 1, 1]), np.array([1.0, 0.0, 0.5]))
    assert far.features[0, 5] == -4.0
    assert near.features[0, 5] == pytest.approx(-0.5 / math.sqrt(2) / 2, abs=1e-6)
    assert near.features[1, 5] == near.features[2, 5] == 0.0


def test_a_constant_added_to_all_answers_changes_nothing_once_every_arm_has_one() -> None:
    count, total = np.array([3, 1, 2, 4]), np.array([1.0, 2.0, -1.0, 5.0])
    work, moved = run_arms(count, count, total), run_arms(count, count, total + 0.7 * count)
    assert np.abs(work.logits - moved.logits).max() < 1e-5
    assert np.ptp(moved.scores - work.scores) < 1e-5


def test_answers_of_any_size_leave_outputs_finite() -> None:
    weights = {name: np.sign(array) * np.float32(1e4) for name, array in ARM_WEIGHTS.items()}
    count = np.array([10**9, 1, 1])
    work = run_arms(count, count, np.array([1e109, -1e100, 1e100]), weights)
    assert np.isfinite(work.logits).all()
    assert np.isfinite(work.scores).all()
    net = flat_net(20, thresholds(3).table, random_layers((WIDTH, 11), (WIDTH, WIDTH), (7, WIDTH)))
    work = flat_work(net)
    ask(net, count, count, np.array([1e109, -1e100, 1e100]), work)
    assert np.isfinite(work.logits).all()
    assert np.isfinite(work.scores).all()


@loop
def compiled_outputs(net: ArmNet | FlatNet, visits: Array, count: Array, total: Array, work: NetWork) -> None:
    outputs(net, visits, count, total, work)


@pytest.mark.jit
def test_compiled_networks_are_their_definition() -> None:
    task = thresholds(10)
    weights = random_layers((96, 32), (96, 96), (21, 96))
    flat = flat_net(20, task.table, weights)
    for seed in range(20):
        visits, count, total = history(seed, 10)
        work = flat_work(flat)
        compiled_outputs(flat, visits, count, total, work)
        assert_bits_of_python(flat, visits, count, total, work)
        expected = flat_in_numpy(20, task.table, weights, visits, total)
        assert np.abs(np.concatenate([work.logits, work.scores]) - expected).max() < 1e-5
        arms = arm_net(15, ARM_WEIGHTS)
        work = arm_work(arms, 10)
        compiled_outputs(arms, visits, count, total, work)
        assert_bits_of_python(arms, visits, count, total, work)
        expected = arms_in_numpy(15, ARM_WEIGHTS, visits, count, total)
        assert np.abs(np.stack([work.logits, work.scores]) - expected).max() < 1e-5


def assert_bits_of_python(net: ArmNet | FlatNet, visits: Array, count: Array, total: Array, work: NetWork) -> None:
    """Let Python answer as well, which adds up whole rows at once; compare what a network said."""
    said = work.logits.tobytes(), work.scores.tobytes()
    outputs(net, visits, count, total, work)
    assert (work.logits.tobytes(), work.scores.tobytes()) == said
