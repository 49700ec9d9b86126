"""Ranks and the largest numbers of long columns: those of the sorted ones, exactly."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.estimate import diagnostics, ordered
from onearm.engine.estimate.diagnostics import QUANTILES, weight_tail
from onearm.engine.estimate.ordered import at_ranks, by_cells, largest, quantiles, ranks_of
from onearm.engine.vocabulary import Array

COLUMNS = {
    "heavy": np.random.default_rng(0).lognormal(0.0, 4.0, 3000),
    "few values": np.random.default_rng(1).choice([0.0, 0.5, 2.0], 3000),
    "small": np.array([0.0, 5e-324, 1e300, 1.0]),
    "one": np.array([2.5]),
    "nothing": np.zeros(5),
    "minus nothing": np.array([-0.0, 1.0, 2.0, 0.0]),  # a probability may be -0.0
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_what_stands_at_a_rank_is_what_sorting_puts_there(column: Array) -> None:
    n = len(column)
    ranks = np.unique(np.linspace(0, n - 1, 9).astype(np.int64))
    for found in (at_ranks(column, ranks), by_cells(column, ranks), by_cells(column, ranks[::-1])[::-1]):
        assert np.array_equal(found, np.sort(column)[ranks])
    assert np.array_equal(by_cells(column, np.arange(n)), np.sort(column))
    for count in (1, n // 3 + 1, n, n + 5):
        assert np.array_equal(largest(column, count), np.sort(column)[-count:])


def test_the_largest_are_found_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "_PART", 100)
    for column in COLUMNS.values():
        assert np.array_equal(largest(column, 7), np.sort(column)[-7:])


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101, 4001])
def test_quantiles_are_those_of_numpy(n: int) -> None:
    column = np.random.default_rng(n).lognormal(0.0, 2.0, n)
    ranked = np.sort(column)[ranks_of(QUANTILES, n)]
    assert quantiles(ranked, QUANTILES, n) == np.quantile(column, QUANTILES).tolist()


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_the_tail_of_a_long_log_is_that_of_a_short_one(column: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    short = weight_tail(column)
    monkeypatch.setattr(diagnostics, "LONG", 0)
    long = weight_tail(column)
    monkeypatch.setattr(diagnostics, "LONG", 1 << 22)
    monkeypatch.setattr(diagnostics, "SHORT", 0)
    for other in (long, weight_tail(column)):
        assert (other.quantiles, str(other.pareto_k)) == (short.quantiles, str(short.pareto_k))
        assert other.top_share == pytest.approx(short.top_share, rel=1e-14, nan_ok=True)
