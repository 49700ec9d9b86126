"""Generalised binary search: hand-worked questions, a twin, twenty questions without noise, and who it is not for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.querying import Play, as_table

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.losses import exact_losses, grid_instances
from onearm.engine.simulation import Simulation
from onearm.engine.task import best_arm, hypotheses, thresholds
from onearm.envs import catalog as envs
from onearm.policies import catalog


def make(noise: float = 0.25) -> Play:
    return Play(catalog.make("generalised_binary_search", noise=noise), thresholds(3), 12)


def test_a_hand_worked_trace() -> None:
    """Four cuts of three points; with noise 1/4 an answer that contradicts a cut costs it the factor 1/3."""
    play = make()
    assert play.law().tolist() == [0.0, 1.0, 0.0]  # sums of signs 2, 0 and -2
    play.put(1, 1.0)  # weights 1/3, 1/3, 1, 1: sums 2, 4/3, -2/3
    assert play.law().tolist() == [0.0, 0.0, 1.0]
    assert play.state.scratch_weight == pytest.approx([1 / 3, 1 / 3, 1.0, 1.0], rel=1e-12)
    play.put(2, -1.0)  # 1/3, 1/3, 1, 1/3: sums 4/3, 2/3, -4/3
    assert play.law().tolist() == [0.0, 1.0, 0.0]
    assert play.law([True, False, True]).sum() == pytest.approx(1.0)
    assert play.recommend() == 2


def test_the_law_is_that_of_a_twin() -> None:
    shared = 0
    for case in range(150):
        rng = np.random.default_rng(case)
        n, bits, noise = int(rng.integers(2, 6)), bool(case % 2), float(rng.choice([0.05, 0.25, 0.4]))
        table = np.unique(rng.integers(0, 2, (6, n)), axis=0)
        task = hypotheses(table, "bits" if bits else "signs") if len(table) > 1 else thresholds(n)
        play = Play(catalog.make("generalised_binary_search", noise=noise), task, 20)
        sums = np.zeros(n)
        for query, sign in zip(rng.integers(0, n, 5).tolist(), rng.choice([-1.0, 1.0], 5).tolist(), strict=True):
            play.put(query, (sign + 1.0) / 2.0 if task.answers == "bits" else sign)
            sums[query] += sign
        signs = 2.0 * task.table - 1.0
        weight = np.exp(0.5 * math.log((1.0 - noise) / noise) * (signs @ sums))
        unclear = np.abs(weight / weight.sum() @ signs)
        best = unclear <= unclear.min() + 1e-12
        law = play.law()
        assert set(np.flatnonzero(law)) <= set(np.flatnonzero(best))
        assert law[law > 0].tolist() == [1.0 / (law > 0).sum()] * int((law > 0).sum())
        shared += (law > 0).sum() > 1
        agreement = signs @ sums
        assert agreement[play.recommend()] == agreement.max()
    assert shared > 10


def test_without_noise_every_object_is_found_in_as_many_questions_as_there_are_bits() -> None:
    """All eight rows of three bits, and three attributes that tell nothing: two equal ones, and a rare one."""
    rows = [[i >> 2 & 1, i >> 1 & 1, i & 1, i >> 2 & 1, int(i == 5)] for i in range(8)]
    policy = catalog.make("generalised_binary_search", noise=0.01)
    for meant in range(8):
        env = envs.make("twenty_questions", table=rows, noise=0.0, object=meant)
        simulation = Simulation(policy, env, horizon=3, seed=meant)
        simulation.advance(3)
        assert simulation.at(3) == (0.0, 0.0)


def test_a_batch_is_not_one_query_again() -> None:
    play = make()
    assert play.ask() == 1
    assert {play.ask(), play.ask()} == {0, 2}
    assert play.state.evidence.asked.tolist() == [1, 1, 1]
    play.tell(0, 1.0)
    assert play.law().tolist() == [1.0, 0.0, 0.0]  # it alone has no answer under way


def test_agreement_is_counted_without_end() -> None:
    """Weights of a long history do not overflow, nor do all of them vanish."""
    play = make(noise=1e-12)
    play.state.evidence.asked[:] = play.state.evidence.count[:] = 10**9
    play.state.evidence.total[:] = [1e9, -1e9, -1e9]
    law = play.law()
    assert play.state.scratch_weight.tolist() == [0.0, 1.0, 0.0, 0.0]
    assert law.tolist() == [1 / 3] * 3
    assert play.recommend() == 1


def test_no_loss_is_below_the_exact_minimax_and_it_is_fooled_where_answers_contradict_all_cuts() -> None:
    """LP optima of three points, T = 6; uniform asking loses at most .196520, .237884 and .544324."""
    task = thresholds(3, loss="identification")
    table = as_table(catalog.make("generalised_binary_search", noise=0.1), task, 6)
    losses = [exact_losses(table, grid_instances(task, [-0.8, -0.4, 0.4, 0.8], level)).max() for level in (4, 8, 30)]
    assert (np.array(losses) >= np.array([0.065826, 0.104199, 0.385344]) - 1e-6).all()
    assert losses[2] > 0.544324
    clear = np.array([[0.8, 0.8, -0.8]])
    uniform = as_table(catalog.make("uniform_budget"), task, 6)
    assert exact_losses(table, clear)[0] < 0.75 * exact_losses(uniform, clear)[0]


def test_tasks_that_are_not_yes_or_no_are_refused_by_name() -> None:
    policy = catalog.make("generalised_binary_search")
    with pytest.raises(InvalidInput, match="thresholds or hypotheses, and this one is of the kind 'arms'"):
        Play(policy, best_arm(3, "signs"), 10)
    with pytest.raises(InvalidInput, match=r"hypothesis 1 has 0\.5 for query 0"):
        Play(policy, hypotheses([[0, 1], [0.5, 1]]), 10)
    with pytest.raises(InvalidInput, match="those of this task are normal"):
        Play(policy, thresholds(3, "normal"), 10)
    for noise in (0.0, 0.5, -0.1, math.nan):
        with pytest.raises(InvalidInput, match=f"noise is {noise!r}"):
            catalog.make("generalised_binary_search", noise=noise)
