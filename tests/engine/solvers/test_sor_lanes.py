"""Many right-hand sides in lanes: every solve is, to the bit, what it is alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.sor_systems import half_from, random_spd, shifted, young_omega

from onearm.engine.solvers.sor import Half, norm_of, solve_sor
from onearm.engine.solvers.sor_lanes import LanesWork, keep, lanes_work, norms_of_lanes, recall, solve_lanes
from onearm.engine.solvers.stopping import CAPPED, CONVERGED, NOT_FINITE, STAGNATED, Monitor, Outcome, Windows
from onearm.engine.vocabulary import Array


def solve(half: Half, b: Array, x: Array, omega: Array, tolerance: Array, most: int, work: LanesWork) -> list[Outcome]:
    m = len(b)
    iterations, reasons, norms = np.full(m, -7), np.full(m, -7), np.full(m, math.nan)
    solve_lanes(half, b, x, omega, tolerance, most, work, iterations, reasons, norms)
    return [Outcome(*each) for each in zip(iterations.tolist(), reasons.tolist(), norms.tolist(), strict=True)]


def assert_as_alone(half: Half, b: Array, omega: Array, tolerance: Array, most: int, lanes: int) -> list[Outcome]:
    """Solve in lanes and alone, and compare the bits."""
    n = b.shape[1]
    work = lanes_work(n, lanes)
    for array in work:
        array.fill(-3)  # of an earlier solve
    work.d.fill(math.nan)
    start = np.random.default_rng(0).normal(size=b.shape)
    x = start.copy()
    outcomes = solve(half, b, x, omega, tolerance, most, work)
    for s, outcome in enumerate(outcomes):
        alone = start[s].copy()
        expected = solve_sor(half, b[s], alone, omega[s], tolerance[s], most, np.empty(n), np.empty(n))
        assert repr(outcome) == repr(Outcome(*expected))  # a NaN is like another
        assert x[s].tobytes() == alone.tobytes()
    return outcomes


@pytest.mark.covering
@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize("system", ["grid", "sparse", "full"])
def test_every_solve_has_the_bits_that_it_has_alone(lanes: int, system: str) -> None:
    halves = {
        "grid": shifted(0.3, 4),
        "sparse": half_from(random_spd(16, 1, 0.15)),
        "full": half_from(random_spd(16, 2, 0.9)),
    }
    rng = np.random.default_rng(3)
    b, omega = rng.normal(size=(7, 16)), rng.uniform(1.0, 1.9, 7)
    outcomes = assert_as_alone(halves[system], b, omega, np.full(7, 1e-6), 10_000, lanes)
    assert len({outcome.iterations for outcome in outcomes}) > 1  # they stop at different times


def test_each_lane_ends_in_its_own_way() -> None:
    half, rng = shifted(0.3, 4), np.random.default_rng(4)
    b, tolerance = rng.normal(size=(6, 16)), np.full(6, 1e-6)
    b[1] = 0.0
    b[2, 5] = math.nan
    tolerance[3] = 1e-19
    outcomes = assert_as_alone(half, b, np.array([1.2, 1.2, 1.2, 1.2, 1.95, 1.3]), tolerance, 130, lanes=4)
    assert [outcome.reason for outcome in outcomes] == [CONVERGED, CONVERGED, NOT_FINITE, STAGNATED, CAPPED, CONVERGED]


def test_a_lane_behind_one_that_is_not_finite_is_clean() -> None:
    half, b = shifted(0.3, 4), np.ones((3, 16))
    b[0, 15] = math.inf
    outcomes = assert_as_alone(half, b, np.full(3, 1.3), np.full(3, 1e-6), 1000, lanes=1)
    assert [outcome.reason for outcome in outcomes] == [NOT_FINITE, CONVERGED, CONVERGED]


def test_solutions_that_are_there_already_need_no_lane() -> None:
    half, x = shifted(0.0, 3), np.zeros((5, 9))
    outcomes = solve(half, np.zeros((5, 9)), x, np.full(5, 1.5), np.zeros(5), 100, lanes_work(9, 2))
    assert outcomes == [Outcome(0, CONVERGED, 0.0)] * 5
    assert solve(half, np.zeros((0, 9)), np.zeros((0, 9)), np.zeros(0), np.zeros(0), 9, lanes_work(9, 2)) == []


@pytest.mark.parametrize("n", [1, 6, 8, 23])
def test_norms_are_added_up_as_those_of_one_solve(n: int) -> None:
    work = lanes_work(n, 3)
    work.r[:] = np.random.default_rng(n).normal(size=(n, 3))
    norms_of_lanes(work)
    assert work.norm.tolist() == [norm_of(np.ascontiguousarray(column)) for column in work.r.T]


@pytest.mark.jit
@pytest.mark.parametrize("lanes", [1, 5, 16, 32])
def test_compiled_solves_have_the_bits_that_they_have_alone(lanes: int) -> None:
    rng = np.random.default_rng(lanes)
    b, omega = rng.normal(size=(60, 100)), rng.uniform(1.0, 1.95, 60)
    assert_as_alone(shifted(0.0), b, omega, 1e-8 * np.linalg.norm(b, axis=1), 250, lanes)


@pytest.mark.jit
def test_the_mean_count_at_youngs_omega_is_the_published_one() -> None:
    b = np.random.default_rng(7).normal(size=(400, 100))
    x, tolerance = np.zeros((400, 100)), 1e-8 * np.linalg.norm(b, axis=1)
    outcomes = solve(shifted(0.0), b, x, np.full(400, young_omega(0.0)), tolerance, 10_000, lanes_work(100, 16))
    counts = [outcome.iterations for outcome in outcomes]
    assert np.mean(counts) == pytest.approx(37.45, abs=4.0 * np.std(counts) * (1 / 40 + 1 / 400) ** 0.5)


def test_a_lane_keeps_all_of_its_course() -> None:
    work = lanes_work(3, 2)
    monitor = Monitor(7, STAGNATED, 0.1, True, 0.2, 0.3, Windows(256, 0.4, 0.5, 0.6, 0.7), 0.0, 0.0)
    keep(work, 1, monitor)
    keep(work, 0, monitor._replace(iterations=8))
    assert recall(work, 1) == monitor
