"""Chebyshev features: NumPy's polynomials, and the range that they are of."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.oracles.chebyshev import chebyshev, place


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
