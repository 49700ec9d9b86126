"""Successive halving: its rounds by hand and by a twin, late answers, ties, and simulated losses."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from support.querying import EQUAL_GAPS, TWO_CLOSE, Play, five_arm_losses, near

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.losses import grid_instances
from onearm.engine.hardness.rollouts import roll_out
from onearm.engine.problem import query_problem
from onearm.engine.task import best_arm, hypotheses
from onearm.engine.vocabulary import Problem
from onearm.policies import catalog
from onearm.policies.queries.successive_halving import schedule


def play_of(arms: int, budget: int, seed: int = 1, answers: str = "normal") -> Play:
    task = best_arm(arms, "signs" if answers == "signs" else "normal")
    return Play(catalog.make("successive_halving"), task, budget, seed)


def test_the_rounds_of_a_power_of_two_are_those_of_the_paper() -> None:
    """K = 8, T = 48: 48 / (8 3) = 2 each, 48 / (4 3) = 4 each, and 48 / (2 3) = 8 each, which is what is left."""
    assert schedule(8, 48) == ([2, 6], [4, 2])
    play = play_of(8, 48)
    for _ in range(48):
        arm = play.ask()
        play.tell(arm, float(arm))
    assert play.state.evidence.asked.tolist() == [2, 2, 2, 2, 6, 6, 14, 14]
    assert play.recommend() == 7


def test_all_rounds_but_the_last_fit_into_a_budget_that_is_not_tiny() -> None:
    for arms, budget in product(range(1, 40), (1, 10, 64, 500)):
        quota, keep = schedule(arms, budget)
        left = [arms, *keep]
        assert left[-1] <= 2
        assert all(after == -(-before // 2) for before, after in pairwise(left))
        rounds = np.diff([0, *quota])
        assert (rounds >= 1).all()
        if budget >= arms * np.log2(max(arms, 2)):
            assert (rounds * left[:-1]).sum() <= budget


def test_in_a_round_those_asked_least_are_drawn() -> None:
    play = play_of(4, 16)
    assert play.law().tolist() == [0.25] * 4
    first = play.ask()
    assert play.law().tolist() == [1 / 3 * (a != first) for a in range(4)]
    assert play.law(np.arange(4) == first).tolist() == [float(a == first) for a in range(4)]


def test_a_course_is_that_of_a_twin() -> None:
    """Halves are dropped by the means of all answers, where the twin goes through what was asked from the start."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        arms, budget = int(rng.integers(2, 9)), int(rng.integers(8, 60))
        play, means = play_of(arms, budget, seed), rng.normal(size=arms)
        quota, keep = schedule(arms, budget)
        alive, answers = set(range(arms)), [list[float]() for _ in range(arms)]
        for _ in range(budget):
            while quota and all(len(answers[a]) >= quota[0] for a in alive):
                ranked = sorted(alive, key=lambda a: np.mean(answers[a]), reverse=True)
                alive = set(ranked[: keep.pop(0)])
                quota.pop(0)
            least = min(len(answers[a]) for a in alive)
            wanted = {a for a in alive if len(answers[a]) == least}
            assert set(np.flatnonzero(play.law())) == wanted
            arm = play.ask()
            assert arm in wanted
            answers[arm].append(float(rng.normal(means[arm])))
            play.tell(arm, answers[arm][-1])
        assert play.recommend() == max(range(arms), key=lambda a: np.mean(answers[a] or [-np.inf]))


def test_a_round_waits_for_an_answer_of_each_arm() -> None:
    play = play_of(4, 8)
    assert schedule(4, 8) == ([1], [2])
    asked = [play.ask() for _ in range(4)]
    for arm in asked[:3]:
        play.tell(arm, float(arm))
    assert play.law().tolist() == [0.25] * 4  # the round is not over: all are in
    play.tell(asked[3], float(asked[3]))
    assert play.law().tolist() == [0.0, 0.0, 0.5, 0.5]


def test_who_was_dropped_stays_out_when_late_answers_praise_it() -> None:
    play = play_of(4, 20)
    for _ in range(8):
        arm = play.ask()
        play.tell(arm, float(arm))
    later = play.ask()
    assert later in (2, 3)
    play.tell(0, 1000.0)
    assert play.law()[:2].tolist() == [0.0, 0.0]
    assert play.recommend() == 0


def test_a_round_does_not_wait_for_closed_arms() -> None:
    play = play_of(4, 8)
    closed = np.array([True, True, True, False])
    for _ in range(3):
        arm = play.ask(closed)
        play.tell(arm, float(arm))
    play.ask(closed)
    assert play.state.rounds.alive.tolist() == [False, True, True, False]
    assert play.law([True, False, False, True]).tolist() == [0.0, 0.0, 0.0, 1.0]  # none that is in is open


def test_of_equal_means_each_is_dropped_as_often() -> None:
    runs = 400
    stayed = np.zeros(4)
    for seed in range(runs):
        play = play_of(4, 8, seed, "signs")
        for _ in range(4):
            play.tell(play.ask(), 1.0)
        stayed += play.law() > 0.0
    assert stayed.sum() == 2 * runs
    assert (np.abs(stayed / runs - 0.5) <= 4 * 0.5 / np.sqrt(runs)).all()


def test_other_problems_are_refused() -> None:
    policy = catalog.make("successive_halving")
    with pytest.raises(InvalidInput, match=r"'successive_halving' is for tasks of the kind arms, .* 'hypotheses'"):
        Play(policy, hypotheses([[0, 1], [1, 0]]), 10)
    task = best_arm(3)
    with pytest.raises(InvalidInput, match="'successive_halving' plans with the number of queries"):
        policy.init(policy.params, Problem(3, feedback="answer", task=task))


@pytest.mark.slow
@pytest.mark.jit
def test_losses_are_those_of_a_reference_and_not_below_the_minimax() -> None:
    policy = catalog.make("successive_halving")
    assert near(five_arm_losses(policy, EQUAL_GAPS), [0.1282, 0.3453, 0.5210, 0.6322])
    assert (five_arm_losses(policy, TWO_CLOSE) < [0.13, 0.26, 0.345, 0.40]).all()  # uniform: .1458 .2715 .3525 .4020
    task = best_arm(3, "bits")
    means = grid_instances(task, [0.1, 0.3, 0.5, 0.7, 0.9], 20)
    found = roll_out(policy, query_problem(task, 6), means, 4000, seed=1)
    wrong = (found.recommended != means.argmax(axis=1)[:, None]).mean(axis=1)
    assert 0.290676 - 4 * np.sqrt(0.29 * 0.71 / 4000) < wrong.max() < 0.333600 + 0.03  # the exact minimax, and uniform


def test_while_only_rejected_arms_are_open_no_round_ends() -> None:
    play = play_of(8, 48)
    for arm in range(8):
        play.put(arm, float(arm), float(arm))
    assert play.law().tolist() == [0.0] * 4 + [0.25] * 4  # the first round is over: the worse half is out
    for _ in range(3):
        play.tell(play.ask(np.arange(8) < 4), 0.0)
    assert play.state.rounds.round[0] == 1 and play.state.rounds.alive.tolist() == [False] * 4 + [True] * 4
    assert play.law().tolist() == [0.0] * 4 + [0.25] * 4
