"""One run of training: particles within their level, and runs that go on to the last digit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.playing import player

from onearm.api.train.duel import Duel, turn, turn_slope
from onearm.api.train.networks import first_weights, network_for
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
    first = [Duel(thresholds(3), 4, (30.0,), (0.0,), SMALL, key, player(thresholds(3), 4)).present["w1"]
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
    duel.present["b3"][3] = 20.0  # it always recommends the first cut, that no point is positive
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
    count, total = np.array([[2.0, 1.0, 0.0]]), np.array([[2.0, -1.0, 0.0]])
    for task, scores in ((best_arm(3), [[4.0, -4.0, 0.0]]), (thresholds(3), [[0.0, 2.0, 1.0, 1.0]])):
        network = network_for(task, 6)
        answered = network.answer(first_weights(network, np.random.default_rng(0)), count, total)
        assert answered.logits.tolist() == [[0.0, 0.0, 0.0]]
        assert answered.scores.tolist() == scores


def test_a_run_may_begin_with_the_weights_of_another() -> None:
    first = first_weights(network_for(thresholds(3), 4), np.random.default_rng(0))
    weights = {name: value + np.float32(0.5) for name, value in first.items()}
    play = player(thresholds(3), 4)
    duel = Duel(thresholds(3), 4, [9.0], [0.0], FLAT, (1,), play, weights=weights)
    for name, value in weights.items():
        assert np.array_equal(duel.present[name], value) and np.array_equal(duel.average[name], value)
        assert duel.present[name] is not value, "what another run ended with must stay as it is"
    assert not np.array_equal(Duel(thresholds(3), 4, [9.0], [0.0], FLAT, (1,), play).present["w1"], weights["w1"])
