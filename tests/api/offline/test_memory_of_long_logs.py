"""What is as long as a log lies in files where the log is long: memory holds blocks of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onearm.api.offline.intervals import difference
from onearm.api.offline.judging import Facts, Scores
from onearm.api.offline.methods import Case
from onearm.api.offline.options import Options
from onearm.engine.estimate import by_unit, difference_sequence, groups_of, normal, rank, sequence, snips
from onearm.engine.estimate.terms import Terms
from onearm.engine.storage.room import MEMORY, room
from onearm.engine.storage.rows import Rows

N = MEMORY // 8 + 9  # decisions whose columns are beyond what is kept in memory
COLUMN = 8 * N  # bytes


def peak(work: Callable[[], Any]) -> tuple[Any, int]:
    """Return what some work finds, and the most bytes that it held at once."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def log() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    propensity = rng.choice([0.25, 0.5, 0.75], N)
    target, other = rng.choice([0.0, 0.5, 1.0], N), rng.choice([0.1, 0.5, 0.9], N)
    return {"reward": rng.random(N), "propensity": propensity, "target": target, "other": other}


def test_groups_of_units_take_less_than_a_column() -> None:
    unit = np.random.default_rng(1).integers(0, 5000, N).astype(np.uint64)
    groups, held = peak(lambda: groups_of(unit, room))
    assert held < COLUMN / 2
    known, place = unit > 0, np.unique(unit[unit > 0], return_inverse=True)[1]
    assert np.array_equal(groups[known], place)


def test_a_difference_takes_less_than_a_column_and_is_that_of_whole_columns(log: dict[str, Any]) -> None:
    facts = Facts(log["reward"], log["propensity"], *(np.zeros(0, np.int64),) * 3, np.zeros(0, np.uint64))
    nothing = np.zeros(0)

    def case_of(target: Any) -> Case:
        return Case(facts, Rows(), Scores(np.zeros(N, np.int64), target, nothing, nothing), None, None, None, Options())

    ours, theirs = (snips(log["reward"], log["propensity"], log[name]) for name in ("target", "other"))
    given = "normal", "snips", case_of(log["target"]), case_of(log["other"]), ours, theirs
    (value, interval), held = peak(lambda: difference(*given))
    assert held < COLUMN / 2
    base = value + ours.influence - theirs.influence
    assert interval == normal(by_unit(Terms("snips", base, None, None, np.maximum(ours.weight, theirs.weight)), None))


@pytest.mark.jit
def test_a_sequence_of_differences_takes_less_than_a_column(
    log: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence, "_PAGE", 1 << 16)
    given = (log["reward"], log["propensity"], log["target"], log["other"])
    difference_sequence(*(column[:9] for column in given))  # compiles
    found, held = peak(lambda: difference_sequence(*given, at=np.array([N])))
    assert held < COLUMN / 2
    weight, against = log["target"] / log["propensity"], log["other"] / log["propensity"]
    assert found.value[-1] == pytest.approx(float(np.mean((weight - against) * log["reward"])), rel=1e-9)


def test_a_ranking_takes_less_than_two_columns_however_many_are_ranked(log: dict[str, Any]) -> None:
    ranked = [snips(log["reward"], log["propensity"], log[name]) for name in ("target", "other")]
    found, held = peak(lambda: rank(ranked, draws=100))
    assert held < 1.5 * COLUMN
    for i, terms in enumerate(ranked):
        assert found.value[i] == terms.value
    gap = ranked[0].value - ranked[1].value
    spread = float(np.sqrt(np.square(ranked[0].influence - ranked[1].influence).sum())) / N
    assert abs(found.behind[found.order[-1]]) == pytest.approx(abs(gap))
    assert found.behind_high[found.order[-1]] - abs(gap) == pytest.approx(1.96 * spread, rel=0.3)
