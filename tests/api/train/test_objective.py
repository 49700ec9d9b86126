"""What a step makes smaller: its gradient is that of finite differences, and on average that of the exact loss."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.playing import play_out
from support.shaken import shaken

from onearm.api.train import objective as objectives
from onearm.api.train.networks import ArmNet, Network, Weights, network_for
from onearm.api.train.objective import Histories, histories_of, log_softmax, objective_of
from onearm.engine.hardness.score_gradient import advantages
from onearm.engine.task import Array, Task, best_arm, hypotheses, thresholds

TABLE = np.random.default_rng(1).normal(size=(6, 3))
TASKS = [thresholds(3), hypotheses(TABLE), best_arm(3), best_arm(4, "bits")]
PARTICLES, ROLLOUTS, BUDGET, ENTROPY = 3, 4, 5, 0.03


def doubled(weights: Weights) -> Weights:
    """Return the same weights as float64, so that differences of them are exact enough."""
    return {name: value.astype(np.float64) for name, value in weights.items()}


def played(network: Network, weights: Weights, task: Task) -> tuple[Histories, Array]:
    rng = np.random.default_rng(2)
    low, high = (0.1, 0.9) if task.answers == "bits" else (-0.9, 0.9)
    means = np.repeat(rng.uniform(low, high, (PARTICLES, task.n_queries)), ROLLOUTS, axis=0)
    queries, answers = play_out(network, weights, task, means, BUDGET, rng, ROLLOUTS)
    return histories_of(queries, answers, task.n_queries), task.losses(means)


def surrogate(network: Network, weights: Weights, histories: Histories, costs: Array, advantage: Array) -> float:
    """Return what is differentiated: the mean of (R - b) sum ln p(query) + R, less the bonus; R - b stays as it is."""
    b, spread = np.arange(len(costs)), 0.0
    taken = np.zeros(len(costs))
    for t, query in enumerate(histories.queries):
        log_law = log_softmax(network.answer(weights, histories.count[t], histories.total[t]).logits)
        taken += log_law[b, query]
        spread -= (np.exp(log_law) * log_law).sum() / (len(costs) * len(histories.queries))
    law = np.exp(log_softmax(network.answer(weights, histories.count[-1], histories.total[-1]).scores))
    return float((advantage * taken).mean() + (law * costs).sum(axis=1).mean() - ENTROPY * spread)


@pytest.mark.parametrize("task", TASKS)
def test_the_gradient_is_that_of_finite_differences(task: Task) -> None:
    network = network_for(task, BUDGET)
    weights = doubled(shaken(network, 0.3))
    histories, costs = played(network, weights, task)
    gradient, losses, _ = objective_of(network, weights, histories, costs, PARTICLES, ENTROPY)
    advantage, rng = advantages(losses).ravel(), np.random.default_rng(4)
    for name, value in weights.items():
        for way in rng.normal(size=(3, *value.shape)):
            step = 1e-7 * way / np.linalg.norm(way)  # so short that no unit passes through 0
            ends = [weights | {name: value + sign * step} for sign in (1.0, -1.0)]
            up, down = (surrogate(network, end, histories, costs, advantage) for end in ends)
            assert up - down == pytest.approx(2.0 * (gradient[name] * step).sum(), rel=1e-4, abs=1e-14), name


@pytest.mark.parametrize("task", TASKS)
def test_weights_of_float32_have_the_same_gradient_as_those_of_float64(task: Task) -> None:
    network = network_for(task, BUDGET)
    weights = shaken(network, 0.3)
    histories, costs = played(network, weights, task)
    single = objective_of(network, weights, histories, costs.astype(np.float32), PARTICLES, ENTROPY)
    double = objective_of(network, doubled(weights), histories, costs, PARTICLES, ENTROPY)
    np.testing.assert_allclose(single.losses, double.losses, atol=1e-5)
    np.testing.assert_allclose(single.laws, double.laws, atol=1e-5)
    for name, value in single.gradient.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, double.gradient[name], rtol=0.0, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("task", [thresholds(3), best_arm(3)])
def test_a_gradient_is_the_sum_of_its_blocks(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_for(task, BUDGET)
    weights = doubled(shaken(network, 0.3))
    histories, costs = played(network, weights, task)
    whole = objective_of(network, weights, histories, costs, PARTICLES, ENTROPY)
    monkeypatch.setattr(objectives, "ROWS", 7)  # 60 rows of queries: a block is cut short
    blocks = objective_of(network, weights, histories, costs, PARTICLES, ENTROPY)
    for name, value in whole.gradient.items():
        np.testing.assert_allclose(blocks.gradient[name], value, rtol=1e-9, atol=1e-15, err_msg=name)
    np.testing.assert_allclose(blocks.losses, whole.losses, rtol=1e-12)


def test_units_that_share_a_maximum_share_its_gradient() -> None:
    """Arms that nobody asked are alike, and so each is the maximum over arms."""
    network = ArmNet(3, BUDGET)
    weights = doubled(shaken(network, 0.3))
    nothing = np.zeros((1, 3), np.float32)
    answered = network.answer(weights, nothing, nothing)
    slope = np.array([[1.0, 0.0, 0.0]])
    gradient = network.gradient(weights, answered, slope, np.zeros((1, 3)))
    way = np.random.default_rng(0).normal(size=weights["w2"].shape)
    step = 1e-6 * way
    up, down = (
        network.answer(weights | {"w2": weights["w2"] + sign * step}, nothing, nothing).logits[0, 0]
        for sign in (1.0, -1.0)
    )
    assert up - down == pytest.approx(2.0 * (gradient["w2"] * step).sum(), rel=1e-6)
    assert abs(up - down) > 1e-8


LINE, UP, QUERIES = thresholds(2, "bits"), np.array([0.9, 0.2]), 3
LAST = ("w3", "b3")
SOME = slice(None, None, 4)  # of 96 weights of each unit of the last layer, and of their biases


def line_weights(network: Network) -> Weights:
    weights = shaken(network, 0.4)
    return weights | {name: np.float32(0.3) * weights[name] for name in LAST}  # so that no query is certain


def exact_loss(network: Network, weights: Weights, task: Task, means: Array) -> float:
    """Return the expected loss of the soft recommendation, over all queries and answers that can be."""
    moves = list(itertools.product(range(task.n_queries), (0.0, 1.0)))
    paths = np.array(list(itertools.product(moves, repeat=QUERIES)))
    queries, answers = paths[:, :, 0].astype(np.int64), paths[:, :, 1]
    histories = histories_of(queries[:, None], answers[:, None], task.n_queries)
    chance = np.where(answers == 1.0, means[queries], 1.0 - means[queries]).prod(axis=1)
    for t, query in enumerate(histories.queries):
        law = np.exp(log_softmax(network.answer(weights, histories.count[t], histories.total[t]).logits))
        chance *= law[np.arange(len(paths)), query]
    law = np.exp(log_softmax(network.answer(weights, histories.count[-1], histories.total[-1]).scores))
    return float((chance * (law @ task.losses(means))).sum())


def exact_gradient(network: Network, weights: Weights, task: Task, means: Array) -> Array:
    """Return the gradient of the exact loss by `SOME` of the last layer, of central differences in float64."""
    found = []
    for name in LAST:
        for place in [*np.ndindex(weights[name].shape)][SOME]:
            step = np.zeros(weights[name].shape)
            step[place] = 1e-5
            ends = [weights | {name: weights[name] + sign * step} for sign in (1.0, -1.0)]
            up, down = (exact_loss(network, end, task, means) for end in ends)
            found.append((up - down) / 2e-5)
    return np.array(found)


def gradients(network: Network, weights: Weights, batches: int, rollouts: int = 32) -> Array:
    """Return the gradient of `SOME` of the last layer as a step estimates it, one row a batch."""
    rng, found = np.random.default_rng(5), []
    means = np.repeat(UP[None], 2 * rollouts, axis=0)
    for _ in range(batches):
        queries, answers = play_out(network, weights, LINE, means, QUERIES, rng, rollouts)
        histories = histories_of(queries, answers, LINE.n_queries)
        gradient = objective_of(network, weights, histories, LINE.losses(means), 2, entropy=0.0).gradient
        found.append(np.concatenate([gradient[name].ravel()[SOME] for name in LAST]))
    return np.array(found)


BY_QUERIES = slice(0, 2 * 24)  # of those: the weights of the query logits


def test_the_gradient_of_the_network_is_that_of_the_exact_loss() -> None:
    network = network_for(LINE, QUERIES)
    weights = line_weights(network)
    wanted = exact_gradient(network, doubled(weights), LINE, UP)
    found = gradients(network, weights, 60, rollouts=250)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - wanted) <= 4.0 * error + 1e-6).all()
    assert np.abs(wanted[BY_QUERIES]).max() > 50.0 * error[BY_QUERIES].max(), "there is too little to see an error in"


def test_the_other_rollouts_of_a_particle_halve_the_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_for(LINE, QUERIES)
    weights = line_weights(network)
    with_them = gradients(network, weights, 60)[:, BY_QUERIES].var(axis=0).sum()
    monkeypatch.setattr(objectives, "advantages", lambda losses: losses)
    without = gradients(network, weights, 60)[:, BY_QUERIES].var(axis=0).sum()
    assert without >= 2.0 * with_them > 0.0
