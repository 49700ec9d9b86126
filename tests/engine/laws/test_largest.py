"""The law of the largest: against adaptive quadrature with SciPy's functions, closed forms, exact sums."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, special
from support.compiled import compiled
from support.every_run import every_run

from onearm.engine.laws import largest, largest_beta
from onearm.engine.vocabulary import Array

Function = Callable[[float], float]
Law = Callable[..., Array]
law_of_betas, law_of_normals = compiled(largest.beta_law), compiled(largest.normal_law)
kept_law_of_betas = compiled(largest_beta.largest_beta_law)


def beta_law(a: Sequence[float] | Array, b: Sequence[float] | Array, available: Array | None = None) -> Array:
    return run(law_of_betas, a, b, available)


def kept_beta_law(a: Sequence[float] | Array, b: Sequence[float] | Array, available: Array | None = None) -> Array:
    """Return the same by the law that goes on from the one before it, where there is none before it."""
    k = len(a)
    work = largest_beta.kept_law(k)
    mask = np.ones(k, np.bool_) if available is None else available
    kept_law_of_betas(work, np.array(a, np.float64), np.array(b, np.float64), mask)
    return work.line.law


def normal_law(mean: Sequence[float] | Array, sd: Sequence[float] | Array, available: Array | None = None) -> Array:
    return run(law_of_normals, mean, sd, available)


def run(
    kernel: Callable[..., None],
    first: Sequence[float] | Array,
    second: Sequence[float] | Array,
    available: Array | None,
) -> Array:
    k = len(first)
    work = largest.workspace(k)
    mask = np.ones(k, np.bool_) if available is None else available
    kernel(work, np.array(first, np.float64), np.array(second, np.float64), mask)
    return work.law


both = pytest.mark.parametrize("beta_law", [beta_law, kept_beta_law])


def beta_arm(a: float, b: float) -> tuple[Function, Function, list[float]]:
    """Return density and F of Beta(a, b) on the logit scale, and points that show where it lives."""

    mode = math.log(a / b)
    peak = a * special.log_expit(mode) + b * special.log_expit(-mode)

    def density(y: float) -> float:
        return math.exp(a * special.log_expit(y) + b * special.log_expit(-y) - peak) / mass

    def below(y: float) -> float:
        if y < 0:
            return float(special.betainc(a, b, special.expit(y)))
        return float(special.betaincc(b, a, special.expit(-y)))

    centre = special.digamma(a) - special.digamma(b)
    sd = math.sqrt(special.polygamma(1, a) + special.polygamma(1, b))
    points = [centre + z * sd for z in (-40, -20, -12, -8, -5, -3, -1.5, 0, 1.5, 3, 5, 8, 12, 20, 40)]
    mass = 1.0
    mass = sum(integrate.quad(density, *panel, epsabs=0, epsrel=1e-8)[0] for panel in itertools.pairwise(points))
    return density, below, points


def normal_arm(mean: float, sd: float) -> tuple[Function, Function, list[float]]:
    def density(y: float) -> float:
        return math.exp(-0.5 * ((y - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))

    def below(y: float) -> float:
        return float(special.ndtr((y - mean) / sd))

    return density, below, [mean + z * sd for z in (-12, -8, -5, -3, -1.5, 0, 1.5, 3, 5, 8, 12)]


def law_by_quad(arms: list[tuple[Function, Function, list[float]]]) -> Array:
    """Integrate f[a] times the product of the other F between the points of all arms."""
    points = sorted({point for arm in arms for point in arm[2]})
    law = np.zeros(len(arms))
    for a, (density, _, own) in enumerate(arms):
        others = [below for b, (_, below, _) in enumerate(arms) if b != a]
        inside = [point for point in points if own[0] <= point <= own[-1]]
        for left, right in itertools.pairwise(inside):
            law[a] += integrate.quad(
                lambda y, density=density, others=others: density(y) * math.prod(below(y) for below in others),
                left,
                right,
                epsabs=1e-20,
                epsrel=1e-7,
                limit=200,
            )[0]
    return law


def check(law: Array, expected: Array) -> None:
    """The promise: 1e-6 relative where p >= 1e-12, 1e-14 absolute below."""
    assert expected.sum() == pytest.approx(1.0, abs=2e-7)
    assert law.sum() == pytest.approx(1.0, abs=1e-12)
    large = expected >= 1e-12
    assert law[large] == pytest.approx(expected[large], rel=1e-6, abs=0)
    assert law[~large] == pytest.approx(expected[~large], rel=0, abs=1e-14)


NASTY_BETAS = [
    ([1, 1], [1, 1]),
    ([0.05, 0.05], [0.05, 0.05]),
    ([0.05, 3.0, 1e8], [0.05, 2.0, 0.9e8]),
    ([1e8, 1e8], [1e8, 1.0002e8]),
    ([1e8, 0.05], [0.05, 1e8]),
    ([0.05, 0.06, 0.07], [1e8, 0.9e8, 1.1e8]),
    ([1e8, 0.9e8, 0.05], [0.05, 0.06, 0.07]),
    ([1e8, 5.0, 1.0], [5.0, 1e-1, 1.0]),
    ([900, 8, 1.05], [100, 3, 40]),
    ([20, 60, 1000, 3], [80, 140, 2000, 7]),
    ([2, 2, 2, 2, 2, 2], [5, 5, 5, 5, 5, 5]),
    ([501, 401], [501, 601]),
    ([40, 3000, 3e5, 3e7], [60, 4500, 4.5e5, 4.5e7]),
]
NASTY_NORMALS = [
    ([0, 0], [1, 1]),
    ([0, 9.9], [1, 1]),
    ([1e6, 1e6 + 1e-3, 1e6 - 1e-3], [1e-3, 1e-3, 5e-4]),
    ([0, -6, 3], [1, 1e-6, 1e3]),
    ([-1, -2, -3, -30], [1e-4, 1, 2, 9]),
    ([0, 1e-5, -1e-5, 0, 7], [1e-6, 1e-3, 1, 1e3, 1e6]),
    ([5, 4, 3, 2, 1, 0], [0.1, 0.5, 1, 1, 1, 1]),
]


@pytest.mark.parametrize(("a", "b"), NASTY_BETAS)
def test_betas_of_nasty_shapes(a: list[float], b: list[float]) -> None:
    expected = law_by_quad([beta_arm(*arm) for arm in zip(a, b, strict=True)])
    check(beta_law(a, b), expected)
    check(kept_beta_law(a, b), expected)


@pytest.mark.parametrize(("mean", "sd"), NASTY_NORMALS)
def test_normals_of_nasty_widths(mean: list[float], sd: list[float]) -> None:
    check(normal_law(mean, sd), law_by_quad([normal_arm(*arm) for arm in zip(mean, sd, strict=True)]))


@pytest.mark.parametrize("seed", every_run(range(12), range(4)))
def test_betas_of_random_shapes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 6))
    a, b = np.exp(rng.uniform(math.log(0.05), math.log(1e8), (2, k)))
    if seed % 2:  # posteriors of arms that are alike
        trials = np.exp(rng.uniform(0, 12, k))
        mean = special.expit(rng.normal(0, 0.3, k))
        a, b = 1 + mean * trials, 1 + (1 - mean) * trials
    expected = law_by_quad([beta_arm(*arm) for arm in zip(a, b, strict=True)])
    check(beta_law(a, b), expected)
    check(kept_beta_law(a, b), expected)


@pytest.mark.parametrize("difference", [0.0, 0.3, 2.0, 7.0, 9.8])
@pytest.mark.parametrize("sd", [1e-6, 0.5, 1.0, 1e6])
def test_two_normals_are_the_normal_distribution_of_their_difference(difference: float, sd: float) -> None:
    z = difference / math.hypot(1.0, sd)
    expected = special.ndtr([-z, z])
    law = normal_law([5.0, 5.0 + difference], [1.0, sd])
    check(law, expected)


@both
@pytest.mark.parametrize("k", [1, 2, 3, 10, 34])
def test_arms_that_are_alike_share(beta_law: Law, k: int) -> None:
    assert beta_law([3.0] * k, [2.0] * k) == pytest.approx([1 / k] * k, rel=1e-13)
    assert normal_law([-4.0] * k, [0.1] * k) == pytest.approx([1 / k] * k, rel=1e-13)


@both
@pytest.mark.parametrize(("x", "y"), [((1, 1), (1, 1)), ((3, 1), (2, 4)), ((12, 7), (40, 25)), ((2, 60), (9, 30))])
def test_two_betas_of_whole_shapes_are_an_exact_sum(beta_law: Law, x: tuple[int, int], y: tuple[int, int]) -> None:
    """P(X > Y) = sum over i < a_x of B(a_y + i, b_x + b_y) / ((b_x + i) B(1 + i, b_x) B(a_y, b_y))."""

    def beta(a: int, b: int) -> Fraction:
        return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))

    exact = sum(beta(y[0] + i, x[1] + y[1]) / ((x[1] + i) * beta(1 + i, x[1]) * beta(*y)) for i in range(x[0]))
    check(beta_law([x[0], y[0]], [x[1], y[1]]), np.array([float(exact), float(1 - exact)]))


@both
@pytest.mark.parametrize("shapes", [[0.05, 0.05, 1e8], [0.05, 1, 7, 2e3, 5e4], [0.3] * 7, [1e8, 1.0, 1e4]])
def test_powers_of_a_uniform_win_in_proportion_to_their_shape(beta_law: Law, shapes: list[float]) -> None:
    """F is x^a where b = 1, so the largest is of Beta(sum a, 1) and arm a's share is a / sum a."""
    check(beta_law(shapes, [1.0] * len(shapes)), np.array(shapes) / sum(shapes))


@both
@pytest.mark.jit
@pytest.mark.parametrize("k", [100, 300, 1000])
def test_very_many_arms(beta_law: Law, k: int) -> None:
    shapes = np.exp(np.random.default_rng(k).uniform(math.log(0.05), math.log(1e8), k))
    check(beta_law(shapes, np.ones(k)), shapes / shapes.sum())
    assert normal_law(np.zeros(k), np.ones(k)) == pytest.approx(np.full(k, 1 / k), rel=1e-9)
    ahead = normal_law(np.where(np.arange(k) == 7, 3.0, 0.0), np.ones(k))
    best = integrate.quad(
        lambda y: math.exp(-0.5 * (y - 3) ** 2 + (k - 1) * special.log_ndtr(y)) / math.sqrt(2 * math.pi),
        -9,
        12,
        points=[0, 2, 3, 4, 6],
        epsabs=0,
        epsrel=1e-11,
        limit=200,
    )[0]
    assert ahead[7] == pytest.approx(best, rel=1e-6)
    assert np.delete(ahead, 7) == pytest.approx(np.full(k - 1, (1 - best) / (k - 1)), rel=1e-6)


@both
def test_arms_that_are_not_available_are_left_out(beta_law: Law) -> None:
    available = np.array([False, True, True, False, True])
    a, b = np.array([9e7, 3.0, 2.0, 0.05, 4.0]), np.array([1.0, 2.0, 5.0, 0.05, 4.0])
    law = beta_law(a, b, available)
    assert (law[~available] == 0.0).all()
    assert (law[available] == beta_law(a[available], b[available])).all()
    law = normal_law(a, b, available)
    assert (law[~available] == 0.0).all()
    assert (law[available] == normal_law(a[available], b[available])).all()


@both
@pytest.mark.parametrize("available", [0, 1, 2])
def test_a_single_arm_is_the_largest(beta_law: Law, available: int) -> None:
    mask = np.arange(3) == available
    assert (beta_law([1.0, 0.05, 1e8], [3.0, 0.05, 1e8], mask) == mask).all()
    assert (normal_law([1.0, -1e9, 1e9], [3.0, 1e-9, 1e9], mask) == mask).all()


def test_a_workspace_keeps_nothing_from_the_law_before() -> None:
    work = largest.workspace(3)
    mask = np.ones(3, np.bool_)
    law_of_betas(work, np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]), mask)
    law_of_normals(work, np.array([1.0, 2.0, 3.0]), np.ones(3), mask)
    assert (work.law == normal_law([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])).all()
    law_of_betas(work, np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]), mask)
    assert (work.law == beta_law([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])).all()


def test_the_ends_of_every_shape_are_where_the_density_has_fallen_by_exp_42() -> None:
    work = largest.workspace(1)
    shapes = np.exp(np.linspace(math.log(0.01), math.log(1e9), 9))
    for a, b in itertools.product(shapes, shapes):
        largest.place_beta(work, 0, a, b)
        mode = math.log(a / b)
        assert work.low[0] < mode < work.high[0]
        for end in (work.low[0], work.high[0]):
            fall = [a * special.log_expit(y) + b * special.log_expit(-y) for y in (mode, end)]
            assert fall[0] - fall[1] == pytest.approx(42, abs=1.01)


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.jit)])
def test_the_bits_are_the_same_with_the_jit_on_and_off(jit: bool) -> None:
    digest = hashlib.sha256()
    for a, b in NASTY_BETAS:
        digest.update(beta_law(a, b).tobytes())
    for mean, sd in NASTY_NORMALS:
        digest.update(normal_law(mean, sd).tobytes())
    assert digest.hexdigest() == "6d41d08da7617bae28be560e7697a489d9d1d99b69476dbc92134c87eff129dc"


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.jit)])
def test_so_are_those_of_the_law_that_goes_on(jit: bool) -> None:
    digest = hashlib.sha256()
    for a, b in NASTY_BETAS:
        digest.update(kept_beta_law(a, b).tobytes())
    assert digest.hexdigest() == "e985ffa326c01779adc2525af28ae5e5ba033b4c7866f9fa016754eacb327014"
