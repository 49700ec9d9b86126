"""Sequential elimination: the phases of successive rejects by hand and by a twin, and simulated losses."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from support.querying import EQUAL_GAPS, LEVELS, Play, five_arm_losses

from onearm.engine.errors import InvalidInput
from onearm.engine.task import best_arm, thresholds
from onearm.engine.vocabulary import Problem
from onearm.policies import catalog
from onearm.policies.queries.sequential_elimination import schedule


def play_of(arms: int, budget: int, seed: int = 1) -> Play:
    return Play(catalog.make("sequential_elimination"), best_arm(arms), budget, seed)


def test_the_phases_are_those_of_the_paper() -> None:
    """K = 4: L = 1/2 + 1/2 + 1/3 + 1/4 = 19/12, so n_1 = ceil(96 12 / 76) and n_2 = ceil(96 12 / 57)."""
    assert schedule(4, 100) == [16, 21]
    assert schedule(3, 15) == [3]  # 12 / (4/3 3) is 3, whatever the rounding
    play = play_of(4, 100)
    for _ in range(100):
        arm = play.ask()
        play.tell(arm, -float(arm))
    # n_3 = ceil(96 12 / 38) = 31 each would leave one of 100: the last two take 63
    assert play.state.evidence.asked[2:].tolist() == [21, 16]
    assert sorted(play.state.evidence.asked[:2].tolist()) == [31, 32]
    assert play.recommend() == 0


def test_all_phases_fit_into_the_budget() -> None:
    for arms, budget in product(range(1, 30), (1, 10, 64, 500)):
        quota = schedule(arms, budget)
        assert len(quota) == max(arms - 2, 0)
        assert sorted(quota) == quota
        assert min(quota, default=1) >= 1
        left = np.arange(arms, 2, -1)
        if budget >= arms:
            assert (np.diff([0, *quota]) * left).sum() <= budget


def test_a_course_is_that_of_a_twin() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        arms, budget = int(rng.integers(2, 8)), int(rng.integers(8, 60))
        play, means = play_of(arms, budget, seed), rng.normal(size=arms)
        harmonic = 0.5 + math.fsum(1 / i for i in range(2, arms + 1))
        quota = [max(1, math.ceil((budget - arms) / (harmonic * (arms + 1 - k)) - 1e-9)) for k in range(1, arms - 1)]
        alive, answers = list(range(arms)), [list[float]() for _ in range(arms)]
        for _ in range(budget):
            while len(alive) > 2 and all(len(answers[a]) >= quota[arms - len(alive)] for a in alive):
                alive.remove(min(alive, key=lambda a: np.mean(answers[a])))
            least = min(len(answers[a]) for a in alive)
            wanted = {a for a in alive if len(answers[a]) == least}
            assert play.law().tolist() == [(a in wanted) / len(wanted) for a in range(arms)]
            arm = play.ask()
            answers[arm].append(float(rng.normal(means[arm])))
            play.tell(arm, answers[arm][-1])
        assert play.recommend() == max(range(arms), key=lambda a: np.mean(answers[a] or [-np.inf]))


def test_several_phases_end_at_once_where_their_quotas_are_equal() -> None:
    assert schedule(5, 15) == [2, 2, 2]
    play = play_of(5, 15)
    for _ in range(10):
        arm = play.ask()
        assert play.state.rounds.round.tolist() == [0]
        play.tell(arm, float(arm))
    assert play.law().tolist() == [0.0, 0.0, 0.0, 0.5, 0.5]
    play.ask()
    assert play.state.rounds.round.tolist() == [3]


def test_of_equal_means_each_is_rejected_as_often() -> None:
    runs = 400
    stayed = np.zeros(4)
    for seed in range(runs):
        play = play_of(4, 8, seed)
        for _ in range(4):
            play.tell(play.ask(), 1.0)
        stayed += play.law() > 0.0
    share = stayed.sum() / runs / 4
    assert schedule(4, 8) == [1, 1]
    assert stayed.sum() == 2 * runs
    assert (np.abs(stayed / runs - share) <= 4 * np.sqrt(share * (1 - share) / runs)).all()


def test_a_phase_waits_for_an_answer_of_each_arm() -> None:
    play = play_of(3, 9)
    asked = [play.ask() for _ in range(3 * schedule(3, 9)[0])]
    play.tell(asked[0], 5.0)
    assert (play.law() > 0.0).all()
    for arm in {*asked} - {asked[0]}:
        play.tell(arm, float(arm))
    assert (play.law() > 0.0).sum() == 2


def test_other_problems_are_refused() -> None:
    policy = catalog.make("sequential_elimination")
    with pytest.raises(InvalidInput, match=r"'sequential_elimination' is for tasks of the kind arms, .* 'thresholds'"):
        Play(policy, thresholds(5), 10)
    with pytest.raises(InvalidInput, match="'sequential_elimination' plans with the number of queries"):
        policy.init(policy.params, Problem(3, feedback="answer", task=best_arm(3)))


def reference(gap: float, runs: int) -> float:
    """Return how often it errs with five arms, T = 15, by NumPy: two each, then the best two share the other five."""
    rng = np.random.default_rng(12)
    answers = rng.normal(size=(runs, 5, 5))
    answers[:, 0] += gap
    first = answers[:, :, :2].mean(axis=2)
    two = np.argsort(first, axis=1)[:, 3:]
    more = np.where(rng.random(runs) < 0.5, 3, 2)
    final = first.copy()
    for place, extra in ((0, more), (1, 5 - more)):
        arm = two[:, place]
        total = answers[np.arange(runs), arm].cumsum(axis=1)[np.arange(runs), extra + 1]
        final[np.arange(runs), arm] = total / (2 + extra)
    return float((final.argmax(axis=1) != 0).mean())


@pytest.mark.jit
def test_losses_on_equal_gaps_are_those_of_a_reference() -> None:
    losses = five_arm_losses(catalog.make("sequential_elimination"), EQUAL_GAPS)
    for level, loss in zip(LEVELS, losses, strict=True):
        known = reference(math.sqrt(5 / level), 40_000)
        assert abs(loss - known) <= 4 * math.sqrt(known * (1 - known) * (1 / 20_000 + 1 / 40_000))
