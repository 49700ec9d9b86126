"""The law of Beta variables that goes on from the one before it: what it keeps never shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.compiled import compiled

from onearm.engine.laws import largest_beta
from onearm.engine.laws.largest import ARMS_MAX, GROWTH, NOTHING
from onearm.engine.laws.largest_beta import KeptLaw, kept_law
from onearm.engine.vocabulary import Array

law_of_betas = compiled(largest_beta.largest_beta_law)


def beta_law(a: Array, b: Array, available: Array) -> Array:
    work = kept_law(len(a))
    law_of_betas(work, a, b, available)
    return work.line.law


def few_panels(k: int, panels: int) -> KeptLaw:
    """Return a working space that keeps fewer panels than a law has."""
    work = kept_law(k)
    of_panels = ("panel", "node", "rate", "above", "ratio", "mass")
    return work._replace(**{name: getattr(work, name)[:panels].copy() for name in of_panels})


def steps(course: int, n: int) -> list[tuple[Array, Array, Array]]:
    """Return shapes and masks, n steps of a course: rewards are learned, arms come and go, or nothing changes.

    The first shapes are small or up to 1e9, or the arms are all alike; an arm may be learned for long, as a leader is.
    """
    draws = np.random.default_rng(course)
    k = int(draws.integers(1, 8))
    most = (3.0, 1e3, 1e9)[course % 3]
    a, b = np.exp(draws.uniform(math.log(0.05), math.log(most), (2, k)))
    if course % 4 == 3:
        a, b = np.full(k, most / 2.0), np.full(k, most)
    available = np.ones(k, np.bool_)
    found = []
    arm = 0
    for _ in range(n):
        chance = draws.random()
        if chance < 0.3:
            arm = int(draws.integers(k))
        if chance < 0.8:
            (a, b)[draws.integers(2)][arm] += (1.0, 50.0 * draws.random(), 1e7 * draws.random())[draws.integers(3)]
        elif chance < 0.95:
            available[arm] = not available[arm] or available.sum() == 1
        found.append((a.copy(), b.copy(), available.copy()))
    return found


@pytest.mark.usefixtures("coarse_quadrature")
@pytest.mark.parametrize(("courses", "n"), [(4, 10), pytest.param(300, 25, marks=pytest.mark.jit)])
def test_a_law_that_goes_on_from_the_one_before_has_the_bits_of_one_that_does_not(courses: int, n: int) -> None:
    for course in range(courses):
        found = steps(course, n)
        k = len(found[0][0])
        many, few = kept_law(k), few_panels(k, 1 + course % 9)
        for shapes_and_mask in found:
            expected = beta_law(*shapes_and_mask)
            for work in (many, few):
                law_of_betas(work, *shapes_and_mask)
                assert (work.line.law == expected).all()


def test_arms_that_catch_up_with_the_leader_narrow_the_panels_that_were_kept() -> None:
    """The first panel is that of the leader in both laws, and far more arms become likely at once in the second."""
    a, b, available = np.full(6, 5.0), np.full(6, 50.0), np.ones(6, np.bool_)
    a[3] = b[3] = 100.0
    work = kept_law(6)
    law_of_betas(work, a, b, available)
    first = work.panel[0].copy()
    a[:], b[:] = 100.0, [105.0, 105.0, 105.0, 100.0, 105.0, 105.0]
    law_of_betas(work, a, b, available)
    assert (work.panel[0] == first).all()
    assert (work.line.law == beta_law(a, b, available)).all()


def test_panels_beyond_those_of_the_last_law_are_not_kept() -> None:
    """Where the arm that reaches furthest comes back, they would begin elsewhere than those before them end."""
    a, b, both = np.array([8e4, 5.0]), np.array([2e4, 9.0]), np.ones(2, np.bool_)
    work = kept_law(2)
    law_of_betas(work, a, b, both)
    a[0] += 500.0
    law_of_betas(work, a, b, np.array([True, False]))
    law_of_betas(work, a, b, both)
    assert (work.line.law == beta_law(a, b, both)).all()


def test_in_no_panel_does_the_product_of_all_f_grow_more_than_it_may() -> None:
    a, b, available = np.full(24, 60.0), np.full(24, 60.0), np.ones(24, np.bool_)
    work = kept_law(24)
    law_of_betas(work, a, b, available)
    right = work.above[: work.kept[0]].prod(axis=1)
    left = np.array([work.start.prod(), *right[:-1]])
    assert ((right < NOTHING) | (right <= GROWTH * left)).all()


@pytest.mark.jit
def test_the_same_holds_over_a_long_course_of_single_rewards() -> None:
    draws = np.random.default_rng(1)
    a, b, available = np.ones(10), np.ones(10), np.ones(10, np.bool_)
    work = kept_law(10)
    for _ in range(5000):
        law_of_betas(work, a, b, available)
        assert (work.line.law == beta_law(a, b, available)).all()
        arm = draws.choice(10, p=work.line.law)
        (a if draws.random() < 0.3 + 0.05 * arm else b)[arm] += 1.0


def test_only_the_arm_that_changed_is_computed_again() -> None:
    a, b, available = np.array([30.0, 400.0, 5.0]), np.array([60.0, 600.0, 9.0]), np.ones(3, np.bool_)
    work = kept_law(3)
    law_of_betas(work, a, b, available)
    before = work.ratio.copy()
    work.ratio[:, [0, 2]] = 0.0
    a[1] += 1.0
    law_of_betas(work, a, b, available)
    assert (work.line.law == [0.0, 1.0, 0.0]).all()
    assert (work.ratio[:, 1] != before[:, 1]).any()


def test_a_law_of_nothing_new_is_not_computed_at_all() -> None:
    a, b, available = np.array([30.0, 400.0]), np.array([60.0, 600.0]), np.ones(2, np.bool_)
    work = kept_law(2)
    law_of_betas(work, a, b, available)
    work.line.law[0] = 7.0
    law_of_betas(work, a, b, available)
    assert work.line.law[0] == 7.0


@pytest.mark.usefixtures("coarse_quadrature")
def test_panels_stay_where_they_are_while_the_leader_learns() -> None:
    """Of a hundred rewards few move one: they lie on a grid."""
    a, b, available = np.array([30.0, 8e4, 5.0]), np.array([60.0, 2e4, 9.0]), np.ones(3, np.bool_)
    work = kept_law(3)
    law_of_betas(work, a, b, available)
    moved = 0
    for step in range(100):
        before = work.panel[: work.kept[0]].copy()
        (a if step % 5 else b)[1] += 1.0
        law_of_betas(work, a, b, available)
        now = work.panel[: work.kept[0]]
        moved += len(now) != len(before) or bool((now != before).any())
        assert (now[1:, 0] == now[:-1, 1]).all()
    assert moved <= 5


def test_what_is_kept_is_bounded() -> None:
    def size(k: int) -> int:
        return sum(array.nbytes for array in kept_law(k) if isinstance(array, np.ndarray))

    assert size(10) < 130_000
    assert size(ARMS_MAX) < 20_000_000
