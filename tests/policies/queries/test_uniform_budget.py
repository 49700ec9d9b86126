"""Uniform budget: its law, and its exact losses of small problems."""

from __future__ import annotations

import numpy as np
import pytest
from support.querying import EQUAL_GAPS, TWO_CLOSE, Play, as_table, five_arm_losses, near

from onearm.engine.hardness.exact.losses import exact_losses, grid_instances
from onearm.engine.task import LossKind, Task, best_arm, thresholds
from onearm.policies import catalog

BITS, SIGNS = [0.1, 0.3, 0.5, 0.7, 0.9], [-0.8, -0.4, 0.4, 0.8]


def test_one_of_the_open_queries_that_were_asked_least_is_drawn() -> None:
    play = Play(catalog.make("uniform_budget"), best_arm(4), 12)
    play.put(0, 5.0)
    play.put(1, -5.0, -5.0)
    assert play.law().tolist() == [0.0, 0.0, 0.5, 0.5]
    assert play.law([True, True, False, False]).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert {play.choose(t=t).action for t in range(30)} == {2, 3}


def test_a_budget_is_spread_evenly() -> None:
    play = Play(catalog.make("uniform_budget"), best_arm(4), 12)
    asked = [play.ask() for _ in range(12)]
    assert [sorted(asked[start : start + 4]) for start in (0, 4, 8)] == [[0, 1, 2, 3]] * 3
    assert asked[:4] != asked[4:8] or asked[4:8] != asked[8:]


@pytest.mark.parametrize(
    ("task", "budget", "grid", "levels", "losses"),
    [
        (best_arm(2, "bits"), 6, BITS, (3.5, 13, 60), (0.008560, 0.163080, 0.314500)),
        (best_arm(3, "bits"), 6, BITS, (8, 20, 80), (0.114400, 0.333600, 0.506667)),
        (best_arm(3, "bits", "simple_regret"), 6, BITS, (8, 20, 80), (0.072800, 0.133440, 0.133440)),
        (thresholds(3, loss="identification"), 6, SIGNS, (4, 8, 30), (0.196520, 0.237884, 0.544324)),
        (thresholds(4, loss="simple_regret"), 5, SIGNS, (6, 12, 30), (0.370893, 0.370893, 0.374832)),
    ],
)
def test_its_worst_losses_are_the_exact_ones(
    task: Task, budget: int, grid: list[float], levels: tuple[float, ...], losses: tuple[float, ...]
) -> None:
    table = as_table(catalog.make("uniform_budget"), task, budget)
    worst = [exact_losses(table, grid_instances(task, grid, level)).max() for level in levels]
    assert worst == pytest.approx(losses, abs=1e-6)


@pytest.mark.parametrize("loss", ["identification", "simple_regret"])
def test_it_does_not_look_at_answers(loss: LossKind) -> None:
    plays = [Play(catalog.make("uniform_budget"), thresholds(3, loss=loss), 12) for _ in range(2)]
    for _ in range(12):
        asked = [play.ask() for play in plays]
        assert asked[0] == asked[1]
        plays[0].tell(asked[0], 1.0)
        plays[1].tell(asked[1], -1.0)


@pytest.mark.jit
def test_losses_on_equal_gaps_and_with_two_close_arms() -> None:
    policy = catalog.make("uniform_budget")
    assert near(five_arm_losses(policy, EQUAL_GAPS), [0.1621, 0.3899, 0.5508, 0.6528])
    assert near(five_arm_losses(policy, TWO_CLOSE), [0.1458, 0.2715, 0.3525, 0.4020])
    assert not near(five_arm_losses(policy, EQUAL_GAPS), [0.1282, 0.3453, 0.5210, 0.6322])
    assert np.all(np.diff(five_arm_losses(policy, EQUAL_GAPS)) > 0.0)
