"""The rule of 16 nodes: polynomials are integrated exactly."""

from __future__ import annotations

import pytest

from onearm.engine.laws.gauss_legendre import PLACE, UP_TO, WEIGHT


def test_the_rule_integrates_polynomials_up_to_every_node() -> None:
    for power in range(16):
        values = PLACE**power
        assert values @ UP_TO == pytest.approx(PLACE ** (power + 1) / (power + 1), rel=0, abs=1e-15)
    for power in range(32):
        assert PLACE**power @ WEIGHT == pytest.approx(1 / (power + 1), rel=1e-14)
