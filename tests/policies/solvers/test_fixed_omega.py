"""Fixed omega: the nearest arm of the grid, among those that are there, whatever comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import probability
from onearm.engine.solvers.omega_grid import omega_of
from onearm.engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)


def arm_of(policy: Policy, available: Array, context: Any = None) -> int:
    instance = Instance(3, np.zeros(0) if context is None else context, available)
    state = policy.init(policy.params, Problem(len(available)))
    decision = Decision(*loop.decide(policy.params, state, instance, Key(RUN, 3)))
    assert decision.propensity == 1.0
    law = [probability(policy.params, state, instance, a) for a in range(len(available))]
    assert law == [float(a == decision.action) for a in range(len(available))]
    return int(decision.action)


@pytest.mark.parametrize("k", [1, 2, 20, 96])
@pytest.mark.parametrize(("low", "high"), [(1.0, 1.95), (0.3, 1.7)])
def test_the_grid_is_equally_spaced(k: int, low: float, high: float) -> None:
    grid = [omega_of(arm, k, low, high) for arm in range(k)]
    assert grid == pytest.approx(np.linspace(low, high, k), rel=1e-15)


@pytest.mark.parametrize("omega", [1.0, 1.02, 1.03, 1.2, 1.4, 1.5, 1.6, 1.8, 1.924, 1.926, 1.95])
@pytest.mark.parametrize("k", [1, 3, 20, 96])
def test_the_arm_is_the_nearest(omega: float, k: int) -> None:
    expected = np.abs(np.linspace(1.0, 1.95, k) - omega).argmin()
    assert arm_of(catalog.make("fixed_omega", omega=omega), np.ones(k, np.bool_)) == expected


def test_the_default_is_gauss_seidel() -> None:
    assert arm_of(catalog.make("fixed_omega"), np.ones(20, np.bool_)) == 0


def test_between_two_arms_the_lower_one_is_taken() -> None:
    policy = catalog.make("fixed_omega", omega=1.25, omega_min=1.0, omega_max=1.5)
    assert arm_of(policy, np.ones(2, np.bool_)) == 0
    assert arm_of(policy, np.array([True, False, True])) == 0


@pytest.mark.parametrize(("there", "arm"), [([0, 1, 4], 1), ([0, 3, 4], 3), ([4], 4), ([1, 3], 1), ([2, 3], 2)])
def test_the_nearest_that_is_available_takes_its_place(there: list[int], arm: int) -> None:
    policy = catalog.make("fixed_omega", omega=1.0, omega_min=0.5, omega_max=1.5)
    assert arm_of(policy, np.isin(np.arange(5), there)) == arm


def test_contexts_of_all_kinds_are_ignored() -> None:
    policy = catalog.make("fixed_omega", omega=1.8)
    for problem in (Problem(20), Problem(20, (7,)), Problem(20, (20, 3)), Problem(20, (20, 64), None, 9)):
        check_fit(policy, problem)
    for context in (np.zeros(0), np.full(7, 1e9)):
        assert arm_of(policy, np.ones(20, np.bool_), context) == 16


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"omega": 0.99}, r"omega is 0\.99: it must be a number in \[1, 1\.95\]"),
        ({"omega": 1.96}, r"omega is 1\.96: it must be a number in \[1, 1\.95\]"),
        ({"omega": float("nan")}, "omega is nan"),
        ({"omega_max": 2.0}, r"omega_max is 2\.0: it must be a number in \(0, 2\)"),
        ({"omega_min": 0.0}, r"omega_min is 0\.0: it must be a number in \(0, 2\)"),
        ({"omega_min": 1.5, "omega_max": 1.5, "omega": 1.5}, "the grid must rise"),
    ],
)
def test_an_omega_off_the_grid_is_refused(params: dict[str, float], match: str) -> None:
    with pytest.raises(InvalidInput, match=match) as refused:
        catalog.make("fixed_omega", **params)
    assert refused.value.code == "bad_param"
