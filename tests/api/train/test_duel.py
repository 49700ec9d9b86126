"""One run of training: unbiased gradients, particles within their level, and runs that go on to the last digit."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.playing import play_out, player

from onearm.api.train import duel as duelling
from onearm.api.train.duel import Duel, histories_of, objective_of, turn, turn_slope
from onearm.api.train.networks import Network, arrays_of, network_for
from onearm.api.train.recipe import ARMS, FLAT, Hunt, Recipe
from onearm.engine.hardness.complexity import difficulty
from onearm.engine.task import Array, Task, best_arm, thresholds

SMALL = replace(
    FLAT,
    iterations=12,
    drawn=8,
    rollouts=4,
    particles=10,
    hunt=Hunt(every=4, starts=3, steps=2, rollouts=4, kept=2),
    average=0.9,
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def shaken(network: Network) -> Network:
    torch.manual_seed(3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return network


def exact_loss(network: Network, task: Task, budget: int, means: Array) -> torch.Tensor:
    """Return the expected loss of the soft recommendation, over all queries and answers that can be: differentiable."""
    n = task.n_queries
    moves = list(itertools.product(range(n), (0.0, 1.0)))
    paths = np.array(list(itertools.product(moves, repeat=budget)))
    queries, answers = paths[:, :, 0].astype(np.int64), paths[:, :, 1]
    histories = histories_of(queries[:, None], answers[:, None], n)
    logits, scores = network(histories.count, histories.total)
    law = torch.log_softmax(logits[:-1], -1).gather(-1, histories.queries.unsqueeze(-1)).squeeze(-1).sum(0).exp()
    chance = np.where(answers == 1.0, means[queries], 1.0 - means[queries]).prod(axis=1)
    cost = torch.from_numpy(task.losses(means)).float()
    loss = (torch.softmax(scores[-1], -1) * cost).sum(-1)
    return (law * torch.from_numpy(chance).float() * loss).sum()


def gradients(network: Network, task: Task, means: Array, budget: int, batches: int, rollouts: int = 32) -> Array:
    """Return the gradient of the last layer as `step` estimates it, one row a batch."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(batches):
        queries, answers = play_out(network, task, np.repeat(means[None], 2 * rollouts, axis=0), budget, rng, rollouts)
        costs = torch.from_numpy(np.repeat(task.losses(means)[None], 2 * rollouts, axis=0)).float()
        objective, _, _ = objective_of(network, histories_of(queries, answers, task.n_queries), costs, 2, entropy=0.0)
        network.zero_grad()
        objective.backward()
        found.append(torch.cat([p.grad.ravel() for p in network.layers[-1].parameters()]).numpy().copy())
    return np.array(found)


LINE, UP, BUDGET = thresholds(2, "bits"), np.array([0.9, 0.2]), 3
QUERIES = slice(0, 2 * 96)  # of the last layer's gradient: the weights of the query logits


def line_network() -> Network:
    network = shaken(network_for(LINE, BUDGET))
    with torch.no_grad():
        for parameter in network.layers[-1].parameters():
            parameter.mul_(0.3)  # so that no query is certain
    return network


def test_the_gradient_of_the_network_is_that_of_the_exact_loss() -> None:
    network = line_network()
    exact_loss(network, LINE, BUDGET, UP).backward()
    wanted = torch.cat([p.grad.ravel() for p in network.layers[-1].parameters()]).numpy().copy()
    found = gradients(network, LINE, UP, BUDGET, 60, rollouts=500)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - wanted) <= 4.0 * error + 1e-6).all()
    assert np.abs(wanted[QUERIES]).max() > 50.0 * error[QUERIES].max(), "there is too little to see an error in"


def test_the_other_rollouts_of_a_particle_halve_the_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    network = line_network()
    with_them = gradients(network, LINE, UP, BUDGET, 60)[:, QUERIES].var(axis=0).sum()
    monkeypatch.setattr(duelling, "advantages", lambda losses: losses)
    without = gradients(network, LINE, UP, BUDGET, 60)[:, QUERIES].var(axis=0).sum()
    assert without >= 2.0 * with_them > 0.0


def test_a_step_plays_only_particles_within_their_level() -> None:
    task, levels = thresholds(4), (6.0, 20.0)
    played: list[Array] = []
    inner = player(task, 3)

    def play(weights: dict[str, Array], means: Array, rollouts: int, seed: int) -> tuple[Array, Array]:
        played.append(means)
        return inner(weights, means, rollouts, seed)

    duel = Duel(task, 3, levels, (0.2, 0.4), SMALL, (0,), play)
    for crowd in duel.crowds:
        crowd.raw[:4] = 0.0  # ties: infinitely hard
    outside = np.concatenate([~crowd.feasible() for crowd in duel.crowds])
    assert outside.sum() == 8
    for _ in range(SMALL.iterations):
        duel.step()
    hard = difficulty(task, np.concatenate(played))
    assert (hard <= 1.05 * levels[1]).all()
    assert (np.abs(np.concatenate(played)) <= 0.98 + 1e-3).all()
    assert (hard > levels[0]).any()
    assert np.concatenate([crowd.feasible() for crowd in duel.crowds]).all(), "hunts should have replaced them"


@pytest.mark.parametrize(("task", "recipe"), [(thresholds(3), FLAT), (best_arm(3), ARMS), (best_arm(3, "bits"), ARMS)])
def test_a_run_that_was_saved_goes_on_to_the_last_digit(task: Task, recipe: Recipe) -> None:
    small = replace(SMALL, rate=recipe.rate, entropy=recipe.entropy)

    def begin() -> Duel:
        return Duel(task, 4, (30.0,), (0.0,), small, (7, 1), player(task, 4))

    whole, half, rest = begin(), begin(), begin()
    for _ in range(12):
        whole.step()
    for _ in range(5):
        half.step()
    rest.restore({name: value.copy() for name, value in half.arrays().items()})
    for _ in range(7):
        half.step()
        rest.step()
    wanted = whole.arrays()
    for name, value in rest.arrays().items():
        np.testing.assert_array_equal(value, wanted[name], err_msg=name)
    assert not np.array_equal(wanted["network.w1"], begin().arrays()["network.w1"])


def test_other_seeds_and_runs_have_other_draws() -> None:
    first = [arrays_of(Duel(thresholds(3), 4, (30.0,), (0.0,), SMALL, key, player(thresholds(3), 4)).network)["w1"]
             for key in ((0, 0), (0, 1), (1, 0))]  # fmt: skip
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])


@pytest.mark.parametrize(("reached", "offsets"), [([0.4, 0.4], [0.1, 0.3]), ([0.05, 0.4], [0.05, 0.3])])
def test_particles_are_drawn_by_the_softmax_of_what_they_lose_beyond_the_least_known(
    reached: list[float], offsets: list[float]
) -> None:
    task = thresholds(3)
    recipe = replace(SMALL, drawn=40_000, temperature=(0.1, 0.1))
    duel = Duel(task, 4, (8.0, 30.0), (0.1, 0.3), recipe, (0,), player(task, 4))
    rng = np.random.default_rng(0)
    duel.loss, duel.drawn = rng.random(20) * 0.5, np.ones(20, np.bool_)
    duel.reached = np.array(reached)
    share = np.exp((duel.loss - np.repeat(offsets, 10)) / 0.1)
    wanted = 0.85 * share / share.sum() + 0.15 / 20
    found = np.bincount(duel._draw_particles(np.ones(20, np.bool_), rng), minlength=20) / 40_000
    assert (np.abs(found - wanted) <= 4.5 * np.sqrt(wanted / 40_000)).all()


def test_particles_that_were_never_played_come_first() -> None:
    duel = Duel(thresholds(3), 4, (30.0,), (0.0,), SMALL, (0,), player(thresholds(3), 4))
    duel.drawn[:6] = True
    feasible = np.ones(10, np.bool_)
    feasible[9] = False
    chosen = duel._draw_particles(feasible, np.random.default_rng(1))
    assert sorted(chosen[:3].tolist()) == [6, 7, 8]
    assert 9 not in chosen


def test_particles_that_lose_least_give_way_to_new_ones() -> None:
    duel = Duel(thresholds(3), 4, (30.0,), (0.0,), replace(SMALL, renewed=2), (0,), player(thresholds(3), 4))
    duel.loss, duel.drawn = np.array([0.5, 0.1, 0.6, 0.7, 0.2, 0.3, 0.8, 0.9, 0.4, 0.5]), np.ones(10, np.bool_)
    feasible = np.ones(10, np.bool_)
    feasible[7] = False
    before = duel.crowds[0].raw.copy()
    duel._renew(feasible, np.random.default_rng(0))
    changed = (duel.crowds[0].raw != before).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [1, 7]
    assert np.flatnonzero(~duel.drawn).tolist() == [1, 7]


def test_a_hunt_brings_what_the_network_does_badly_in_place_of_what_loses_least() -> None:
    task = thresholds(3)
    hunt = Hunt(every=4, starts=12, steps=8, rollouts=32, kept=3)
    recipe = replace(SMALL, hunt=hunt)
    duel = Duel(task, 4, (30.0,), (0.0,), recipe, (0,), player(task, 4))
    last = duel.network.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias[3] = 20.0  # it always recommends the first cut, that no point is positive
    rng = np.random.default_rng(3)
    duel.loss, duel.drawn = np.linspace(0.05, 0.5, 10), np.ones(10, np.bool_)
    before = duel.crowds[0].raw.copy()
    duel._hunt(hunt, rng)
    after = duel.crowds[0]
    np.testing.assert_array_equal(after.raw[3:], before[3:])
    losses = task.losses(after.means()[:3])[:, 0]
    np.testing.assert_allclose(duel.loss[:3], losses, atol=1e-6)
    random = Duel(task, 4, (30.0,), (0.0,), replace(recipe, particles=400), (1,), player(task, 4)).crowds[0].means()
    assert losses.min() > np.quantile(task.losses(random)[:, 0], 0.95), "the hunt should find more than chance does"
    assert after.feasible().all()


def test_a_line_read_backwards_is_as_hard_and_its_slope_comes_back() -> None:
    task, rng = thresholds(5), np.random.default_rng(2)
    means = rng.uniform(-0.9, 0.9, (6, 5))
    turned = np.array([True, False] * 3)
    other = turn(task, means, turned)
    np.testing.assert_allclose(difficulty(task, other), difficulty(task, means), rtol=1e-12)
    np.testing.assert_array_equal(other[1::2], means[1::2])
    assert not np.allclose(other[0::2], means[0::2])
    costs = rng.normal(size=(6, 5))  # of a loss that is linear in what is played
    slope = turn_slope(task, costs, turned)
    step = 1e-3 * rng.normal(size=means.shape)
    change = (costs * (turn(task, means + step, turned) - other)).sum()
    assert change == pytest.approx((slope * step).sum(), rel=1e-9)
    bits = thresholds(5, "bits")
    assert (turn(bits, 0.5 + 0.4 * means, turned) > 0.0).all()


def test_an_untrained_network_asks_evenly_and_answers_by_the_data() -> None:
    count, total = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[2.0, -1.0, 0.0]])
    for task, scores in ((best_arm(3), [[4.0, -4.0, 0.0]]), (thresholds(3), [[0.0, 2.0, 1.0, 1.0]])):
        logits, found = network_for(task, 6)(count, total)
        assert logits.detach().tolist() == [[0.0, 0.0, 0.0]]
        assert found.detach().tolist() == scores


def test_a_run_may_begin_with_the_weights_of_another() -> None:
    weights = {name: value + 0.5 for name, value in arrays_of(network_for(thresholds(3), 4)).items()}
    play = player(thresholds(3), 4)
    duel = Duel(thresholds(3), 4, [9.0], [0.0], FLAT, (1,), play, weights=weights)
    for name, value in weights.items():
        assert np.array_equal(arrays_of(duel.network)[name], value) and np.array_equal(duel.average[name], value)
    assert not np.array_equal(
        arrays_of(Duel(thresholds(3), 4, [9.0], [0.0], FLAT, (1,), play).network)["w1"], weights["w1"]
    )
