"""Chebyshev features: NumPy's polynomials, and the range that they are of."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.oracles.chebyshev import FARTHEST, chebyshev, check_range, place


@pytest.mark.parametrize("m", [1, 2, 6, 32])
def test_features_are_the_polynomials_of_numpy(m: int) -> None:
    features = np.full(m, np.nan)
    for z in np.linspace(-1.0, 1.0, 21):
        chebyshev(z, features)
        assert features == pytest.approx(np.polynomial.chebyshev.chebvander(z, m - 1)[..., :].ravel(), abs=1e-14)


@pytest.mark.parametrize(
    ("value", "z"), [(0.0, -1.0), (2.5, -0.5), (5.0, 0.0), (10.0, 1.0), (-1e-9, -1.0), (11.0, 1.0), (1e308, 1.0)]
)
def test_a_value_has_its_place_in_the_range_or_at_the_end_next_to_it(value: float, z: float) -> None:
    assert place(value, 0.0, 10.0) == z


@pytest.mark.parametrize("value", [-1.7e308, -1e100, 0.0, 1e100, 1.7e308])
def test_any_value_has_a_place_in_the_widest_range(value: float) -> None:
    low, high = check_range(-FARTHEST, FARTHEST)
    assert place(value, low, high) == np.sign(value)


def test_a_range_that_is_wider_than_a_number_can_be_is_refused() -> None:
    """In it no value would have a place: its width is infinite."""
    with pytest.raises(InvalidInput, match=r"low is -1\.7e\+308"):
        check_range(-1.7e308, 1.7e308)
    with pytest.raises(InvalidInput, match=r"high is 1\.7e\+308"):
        check_range(0.0, 1.7e308)
