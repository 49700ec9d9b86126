"""Certificates that leave no room: what rounding takes from long sums is in them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.simulation import Simulation
from onearm.engine.vectors.rounding import rounding_bound
from onearm.engine.vocabulary import LEARN
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("name", ["ftrl", "optimistic_ftrl"])
def test_the_certificate_of_a_leader_is_not_below_the_exact_regret_of_a_hundred_thousand_rounds(name: str) -> None:
    """Gentle slopes, and no walls: certificate and regret are one number, and plain sums miss it by 2e-8."""
    world = envs.make("sea", dimension=10, noise=0.0, drift=0.2, wall=0.0, reach=0.05)
    run = Simulation(policies.make(name), world, horizon=100_000, seed=1)
    log = run.advance_logged(100_000)
    learned = log.kind == LEARN
    slopes, points = -log.detail[learned], log.action[learned]
    low, high = np.asarray(world.problem.domain.parts[0].low), np.asarray(world.problem.domain.parts[0].high)
    regret = math.fsum(
        math.fsum(slopes[:, j] * points[:, j])
        - min(math.fsum(slopes[:, j] * low[j]), math.fsum(slopes[:, j] * high[j]))
        for j in range(len(low))
    )
    bound = run.certificate.bound
    assert regret <= bound <= regret + 1.0


def test_the_doubt_of_a_sum_is_above_what_adding_one_after_another_loses() -> None:
    terms = [0.1] * 100_000
    total = 0.0
    for term in terms:
        total += term
    lost = abs(total - math.fsum(terms))
    assert 0.0 < lost < rounding_bound(len(terms), 1, 0.1) < 1e-3
