"""The nearest law within bounds: against bisection of its scale, and what it does with arms of probability 0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onearm.engine.laws.bounded import fill
from onearm.engine.vocabulary import Array

TINY = 1e-30  # stands for a probability of 0 in the limit


def filled(law: Array, low: Array, high: Array, total: float = 1.0) -> Array:
    out = np.full(len(law), 7.0)
    fill(law, low, high, np.arange(len(law)), total, np.zeros(len(law), np.bool_), out)
    return out


def by_bisection(law: Array, low: Array, high: Array, total: float) -> Array:
    """Return clip(scale q, low, high) of that sum."""
    q = np.where(law > 0, law, TINY)
    least, most = -100.0, 200.0
    for _ in range(200):
        middle = (least + most) / 2
        if np.clip(np.exp(middle) * q, low, high).sum() < total:
            least = middle
        else:
            most = middle
    return np.clip(np.exp(most) * q, low, high)


shares = st.floats(0.0, 1.0, width=16)


@given(st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=9), st.floats(0.0, 1.0))
def test_the_scale_is_that_of_bisection(rows: list[tuple[float, float, float]], at: float) -> None:
    """Of any weights, of which many are 0, and of any total between the sums of the bounds."""
    weights = np.array([weight if weight > 0.2 else 0.0 for weight, _, _ in rows])
    law = weights / weights.sum() if weights.sum() else weights
    low, high = (np.array([pick(one, other) for _, one, other in rows]) for pick in (min, max))
    total = (1 - at) * low.sum() + at * high.sum()
    out = filled(law, low, high, total)
    assert out == pytest.approx(by_bisection(law, low, high, total), abs=1e-9)
    assert out.sum() == pytest.approx(total, abs=1e-12)
    assert (out >= low).all() and (out <= high).all()


def test_arms_that_nothing_holds_keep_their_ratios() -> None:
    law = np.array([0.5, 0.3, 0.15, 0.05])
    out = filled(law, np.array([0.0, 0.0, 0.0, 0.24]), np.array([0.4, 1.0, 1.0, 1.0]))
    assert out == pytest.approx([0.4, 0.24, 0.12, 0.24], rel=1e-15)


def test_arms_of_probability_0_share_equally_what_the_others_must_not_take() -> None:
    law, low, one = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(4), np.ones(4)
    assert filled(law, low, one).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert filled(law, low, np.array([0.4, 1, 1, 1])) == pytest.approx([0.4, 0.2, 0.2, 0.2], rel=1e-15)
    assert filled(law, low, np.array([0.4, 0.1, 1, 1])) == pytest.approx([0.4, 0.1, 0.25, 0.25], rel=1e-15)
    assert filled(law, np.array([0, 0.3, 0, 0]), np.array([0.4, 1, 1, 1])) == pytest.approx([0.4, 0.3, 0.15, 0.15])


def test_other_arms_are_left_alone() -> None:
    law, out = np.array([0.25, 0.25, 0.5]), np.full(3, 7.0)
    fill(law, np.zeros(3), np.ones(3), np.array([0, 2]), 0.6, np.zeros(3, np.bool_), out)
    assert out == pytest.approx([0.2, 7.0, 0.4])


def test_as_many_passes_as_arms_come_to_an_end() -> None:
    """Weights that shrink by factors, each of which falls below its bound once those below have theirs."""
    law = 0.5 ** np.arange(60)
    law /= law.sum()
    low = np.clip(law * 0.999, 0.0, 1.0)
    low[-1] = 1e-3
    out = filled(law, low, np.ones(60))
    assert out == pytest.approx(by_bisection(law, low, np.ones(60), 1.0), abs=1e-12)
