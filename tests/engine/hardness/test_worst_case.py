"""Worst cases that are found: against exact losses, one pool for all policies, the same numbers however it is run."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from support.uniform_rollouts import play_uniform

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.complexity import difficulty
from onearm.engine.hardness.exact.losses import exact_losses, grid_instances
from onearm.engine.hardness.exact.states import uniform
from onearm.engine.hardness.rollouts import Rollouts, roll_out
from onearm.engine.hardness.score_gradient import losses_of
from onearm.engine.hardness.worst_case import Effort, WorstCase, rounds_of, worst_case
from onearm.engine.problem import query_problem
from onearm.engine.task import best_arm, thresholds
from onearm.policies import catalog

TASK = thresholds(3)
LEVELS = [6.0, 12.0, 40.0]
PLAY = partial(play_uniform, TASK)
SHORT = Effort(16, 20, 0.08, 32, 4, 20, 0.03, 64, kept=2, choice_rollouts=128, chosen=2, final_rollouts=4096)


def play_blindly(means: np.ndarray, rollouts: int, start: int) -> Rollouts:
    """Ask as uniform does, and recommend that all points are positive."""
    return PLAY(means, rollouts, start)._replace(recommended=np.full((len(means), rollouts), 3))


@pytest.fixture(scope="module")
def found() -> WorstCase:
    return worst_case(TASK, {"uniform": PLAY, "blind": play_blindly}, LEVELS, effort=SHORT)


def test_what_is_found_is_nearly_the_worst_there_is(found: WorstCase) -> None:
    policy = uniform(TASK, 6)
    points = grid_instances(TASK, np.linspace(-0.98, 0.98, 15).tolist(), LEVELS[-1])
    losses, hard = exact_losses(policy, points), difficulty(TASK, points)
    for r, level in enumerate(LEVELS):
        assert found.losses[0, r] >= 0.93 * losses[hard <= level].max()


def test_its_numbers_are_the_losses_at_its_means(found: WorstCase) -> None:
    exact = exact_losses(uniform(TASK, 6), found.means[0])
    assert (np.abs(found.losses[0] - exact) <= 4.0 * found.stderr[0]).all()
    assert (found.stderr[0] <= 0.02).all()
    blind = (found.means[1] @ TASK.table.T).max(axis=1) - found.means[1].sum(axis=1)
    np.testing.assert_allclose(found.losses[1], blind, atol=1e-9)  # it cannot vary
    assert found.stderr[1].max() <= 1e-9


def test_harder_levels_are_never_cheaper_and_hold_their_means(found: WorstCase) -> None:
    assert (np.diff(found.losses, axis=1) >= 0.0).all()
    assert (difficulty(TASK, found.means) <= 1.05 * np.array(LEVELS)).all()


def test_gaps_are_counted_from_the_best_of_all(found: WorstCase) -> None:
    assert found.best.tolist() == found.losses[0].tolist()
    assert found.gaps[0] == 0.0
    assert found.gaps[1] == (found.losses[1] - found.losses[0]).max()


def test_baselines_that_are_better_widen_the_gaps(found: WorstCase) -> None:
    effort = SHORT._replace(steps=0, refining_steps=0)
    other = worst_case(TASK, {"uniform": PLAY}, LEVELS, effort=effort, baselines=[0.0, 9.0, 9.0])
    assert other.best.tolist() == [0.0, *other.losses[0, 1:]]
    assert other.gaps[0] == other.losses[0, 0]


def test_every_policy_is_scored_where_any_other_lost() -> None:
    """A policy against which the adversary sees no slope is still scored on what was found against another."""

    def play_without_answers(means: np.ndarray, rollouts: int, start: int) -> Rollouts:
        played = PLAY(means, rollouts, start)
        if rollouts in (SHORT.rollouts, SHORT.refining_rollouts):  # in an ascent: it recommends what is best
            best = (means @ TASK.table.T).argmax(axis=1)
            return played._replace(recommended=np.repeat(best[:, None], rollouts, axis=1))
        return played

    alone = worst_case(TASK, {"hiding": play_without_answers}, LEVELS[:1], effort=SHORT)
    both = worst_case(TASK, {"hiding": play_without_answers, "uniform": PLAY}, LEVELS[:1], effort=SHORT)
    assert both.losses[0, 0] >= alone.losses[0, 0] + 0.02
    assert abs(both.losses[0, 0] - both.losses[1, 0]) <= 4.0 * both.stderr.max()


def test_no_rollout_is_used_twice() -> None:
    used: list[tuple[int, int]] = []

    def play(means: np.ndarray, rollouts: int, start: int) -> Rollouts:
        used.append((start, start + len(means) * rollouts))
        return PLAY(means, rollouts, start)

    worst_case(TASK, {"one": play, "other": play}, LEVELS, effort=SHORT._replace(steps=3, refining_steps=3))
    used.sort()
    assert all(end <= following for (_, end), (following, _) in pairwise(used))
    assert len(used) == 2 * 3 * (3 + 1 + 3 + 1 + 2)


def test_the_seed_decides_every_number_and_the_threads_none() -> None:
    effort = SHORT._replace(steps=3, refining_steps=2, final_rollouts=64)
    told: list[int] = []

    def run(seed: int, workers: int = 1) -> WorstCase:
        told.clear()
        players = {"uniform": PLAY, "blind": play_blindly}
        return worst_case(TASK, players, LEVELS[:2], seed=seed, effort=effort, workers=workers, progress=told.append)

    one = run(5)
    for workers in (1, 3):
        other = run(5, workers)
        assert sum(told) == rounds_of(2, 2)
        assert one.losses.tobytes() == other.losses.tobytes()
        assert one.means.tobytes() == other.means.tobytes()
    assert run(6).means.tobytes() != one.means.tobytes()


@pytest.mark.parametrize("task", [thresholds(2), best_arm(2, "bits")], ids=["signs", "bits"])
def test_the_loop_plays_uniform_as_it_is_defined(task: object) -> None:
    means = np.array([[0.6, 0.3], [0.1, 0.2]])
    found = roll_out(catalog.make("uniform_budget"), query_problem(task, 3), means, 1000, seed=2)  # type: ignore[arg-type]
    losses = losses_of(task, means, found.recommended)  # type: ignore[arg-type]
    stderr = losses.std(axis=1, ddof=1) / np.sqrt(1000)
    exact = exact_losses(uniform(task, 3), means)  # type: ignore[arg-type]
    assert (np.abs(losses.mean(axis=1) - exact) <= 4.0 * stderr).all()


@pytest.mark.parametrize(
    ("levels", "words"),
    [([], "must be numbers"), ([8.0, 4.0], "ascend"), ([-1.0], "above 0"), ([float("nan")], "above 0")],
)
def test_levels_that_do_not_ascend_are_refused(levels: list[float], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        worst_case(TASK, {"uniform": PLAY}, levels, effort=SHORT)


def test_what_is_missing_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="name at least one"):
        worst_case(TASK, {}, LEVELS)
    with pytest.raises(InvalidInput, match="take a larger level"):
        worst_case(TASK, {"uniform": PLAY}, [0.01], effort=SHORT)
    effort = SHORT._replace(steps=0, refining_steps=0, final_rollouts=2)
    with pytest.raises(InvalidInput, match="one for each level"):
        worst_case(TASK, {"uniform": PLAY}, LEVELS, baselines=[0.1], effort=effort)
