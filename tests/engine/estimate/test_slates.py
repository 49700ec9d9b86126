"""Estimators for lists: each has no bias in the world that it assumes, by the sum over all lists, and one in others."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.slates import cascade, cascade_dr, independent, pseudo_inverse, slate_ips
from onearm.engine.estimate.terms import Terms
from onearm.engine.estimate.weighting import ips
from onearm.engine.vocabulary import Array

# Of lists of 2 slots with 3 actions each: the law of the first slot, and of the second one given the first.
LOG_FIRST, LOG_SECOND = np.array([0.5, 0.3, 0.2]), np.array([[0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [0.1, 0.8, 0.1]])
FIRST, SECOND = np.array([0.1, 0.2, 0.7]), np.array([[0.6, 0.4, 0.0], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
FLAT, FLAT_TARGET = np.tile([0.2, 0.3, 0.5], (3, 1)), np.tile([0.6, 0.3, 0.1], (3, 1))  # the same whatever is first

# What the first and the second slot earn, at the first and the second action.
OWN = np.array([[1.0] * 3, [-2.0] * 3, [0.5] * 3]), np.array([[3.0, -1.0, 0.25]] * 3)
FROM_ABOVE = (
    np.array([[1.0] * 3, [-2.0] * 3, [0.5] * 3]),
    np.array([[3.0, -1.0, 0.2], [0.0, 1.0, 2.0], [-1.0, 4.0, 1.0]]),
)
ANY = np.array([[1.0, 2.0, 3.0], [-2.0, 0.0, 1.0], [0.5, 4.0, -3.0]]), FROM_ABOVE[1]


class Lists(NamedTuple):
    """All lists that there can be."""

    probability: Array  # float64[9]
    actions: Array  # int64[9, 2]
    reward: Array  # float64[9, 2]
    propensity: Array  # float64[9, 2]
    target: Array  # float64[9, 2]
    truth: float  # what the policy earns with a list


def lists(earns: tuple[Array, Array], log: tuple[Array, Array], policy: tuple[Array, Array]) -> Lists:
    actions = np.array(list(product(range(3), repeat=2)))
    first, second = actions.T
    reward, propensity, target = (
        np.column_stack(columns)
        for columns in (
            (earns[0][first, second], earns[1][first, second]),
            (log[0][first], log[1][first, second]),
            (policy[0][first], policy[1][first, second]),
        )
    )
    truth = float(target.prod(axis=1) @ reward.sum(axis=1))
    return Lists(propensity.prod(axis=1), actions, reward, propensity, target, truth)


def bias(make: Callable[..., Terms], found: Lists) -> float:
    terms = make(found.reward, found.propensity, found.target)
    assert terms.weight @ found.probability == pytest.approx(1.0, abs=1e-12)  # whichever slots they are the mean of
    return float(terms.base @ found.probability) - found.truth


LOG, POLICY = (LOG_FIRST, LOG_SECOND), (FIRST, SECOND)
FLAT_LOG, FLAT_POLICY = (LOG_FIRST, FLAT), (FIRST, FLAT_TARGET)


@pytest.mark.parametrize(
    ("make", "earns", "log", "policy", "none"),
    [
        (slate_ips, ANY, LOG, POLICY, True),
        (slate_ips, FROM_ABOVE, LOG, POLICY, True),
        (cascade, FROM_ABOVE, LOG, POLICY, True),
        (cascade, OWN, FLAT_LOG, FLAT_POLICY, True),
        (cascade, ANY, LOG, POLICY, False),
        (independent, OWN, FLAT_LOG, FLAT_POLICY, True),
        (independent, FROM_ABOVE, FLAT_LOG, FLAT_POLICY, False),
    ],
)
def test_each_has_no_bias_where_its_assumption_holds(
    make: Callable[..., Terms],
    earns: tuple[Array, Array],
    log: tuple[Array, Array],
    policy: tuple[Array, Array],
    none: bool,
) -> None:
    found = bias(make, lists(earns, log, policy))
    assert found == pytest.approx(0.0, abs=1e-12) if none else abs(found) > 0.1


def cascade_columns(found: Lists, rest: tuple[Array, Array], policy: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return `predicted` and `expected` of a model: of what is left from the first slot on, and from the second on."""
    first, second = found.actions.T
    predicted = np.column_stack([rest[0][first], rest[1][first, second]])
    expected = np.column_stack([np.full(9, policy[0] @ rest[0]), (policy[1] * rest[1]).sum(axis=1)[first]])
    return predicted, expected


def test_the_doubly_robust_cascade_has_no_bias_whatever_the_model_where_propensities_are_true() -> None:
    found = lists(FROM_ABOVE, LOG, POLICY)
    wrong = np.array([1.0, -3.0, 2.0]), np.arange(9.0).reshape(3, 3)
    terms = cascade_dr(*found[2:5], *cascade_columns(found, wrong, POLICY))
    assert terms.base @ found.probability == pytest.approx(found.truth, abs=1e-12)
    assert np.ptp(terms.base) > 1.0


def test_the_doubly_robust_cascade_is_the_truth_where_the_model_is_exact_whatever_the_propensities() -> None:
    found = lists(FROM_ABOVE, LOG, POLICY)
    own, second = FROM_ABOVE[0][:, 0], FROM_ABOVE[1]
    exact = own + (SECOND * second).sum(axis=1), second
    for propensity in (found.propensity, np.full((9, 2), 0.25)):
        terms = cascade_dr(found.reward, propensity, found.target, *cascade_columns(found, exact, POLICY))
        assert terms.base == pytest.approx(np.full(9, found.truth), abs=1e-12)


def test_the_doubly_robust_cascade_with_a_model_of_zeros_is_the_cascade() -> None:
    found = lists(FROM_ABOVE, LOG, POLICY)
    zeros = np.zeros((9, 2))
    plain, robust = cascade(*found[2:5]), cascade_dr(*found[2:5], zeros, zeros)
    assert robust.base == pytest.approx(plain.base, rel=1e-15)
    assert np.array_equal(robust.weight, plain.weight)


def test_the_pseudo_inverse_has_no_bias_where_slots_add_up() -> None:
    """One reward a list, of which each slot makes a part; the policy need not draw its slots independently."""
    found = lists(OWN, FLAT_LOG, FLAT_POLICY)
    terms = pseudo_inverse(found.reward.sum(axis=1), found.propensity, found.target)
    assert terms.base @ found.probability == pytest.approx(found.truth, abs=1e-12)
    assert terms.weight @ found.probability == pytest.approx(1.0, abs=1e-12)
    assert terms.weight.min() < 0.0
    whole = slate_ips(found.reward, found.propensity, found.target)
    spread = [(base - found.truth) ** 2 @ found.probability for base in (terms.base, whole.base)]
    assert spread[0] < spread[1]


def test_the_pseudo_inverse_takes_the_law_of_each_slot_alone() -> None:
    """The policy chooses both together; its law of the second slot is summed over the first."""
    found = lists(OWN, FLAT_LOG, POLICY)
    alone = np.column_stack([FIRST[found.actions[:, 0]], (FIRST @ SECOND)[found.actions[:, 1]]])
    terms = pseudo_inverse(found.reward.sum(axis=1), found.propensity, alone)
    assert terms.base @ found.probability == pytest.approx(found.truth, abs=1e-12)


def test_lists_of_one_slot_are_decisions() -> None:
    rng = np.random.default_rng(1)
    reward, propensity, target = rng.normal(size=9), rng.uniform(0.1, 1, 9), rng.uniform(0, 1, 9)
    expected = ips(reward, propensity, target)
    one = [column[:, np.newaxis] for column in (reward, propensity, target)]
    for terms in (*(make(*one) for make in (slate_ips, independent, cascade)), pseudo_inverse(reward, *one[1:])):
        assert terms.base == pytest.approx(expected.base, rel=1e-12)
        assert terms.weight == pytest.approx(expected.weight, rel=1e-12)


def test_they_are_the_sample_mean_where_the_target_is_the_log() -> None:
    rng = np.random.default_rng(2)
    reward, propensity = rng.normal(size=(9, 4)), rng.uniform(0.1, 1, (9, 4))
    mean = reward.sum(axis=1).mean()
    made = [make(reward, propensity, propensity) for make in (slate_ips, independent, cascade)]
    for terms in (*made, pseudo_inverse(reward.sum(axis=1), propensity, propensity)):
        assert terms.value == pytest.approx(mean, rel=1e-12)
        assert terms.effective_sample_size == pytest.approx(9, rel=1e-12)


MADE: dict[str, Callable[..., Terms]] = {
    "slate_ips": slate_ips,
    "independent": independent,
    "cascade": cascade,
    "cascade_dr": lambda r, p, t, length=None: cascade_dr(r, p, t, r * 0.5, r * 0.25, length),
    "pseudo_inverse": lambda r, p, t, length=None: pseudo_inverse(np.nan_to_num(r).sum(axis=1), p, t, length),
}


@pytest.mark.parametrize("name", MADE)
def test_a_list_is_as_if_its_slots_were_all_that_there_are(name: str) -> None:
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(6, 3)), rng.uniform(0.1, 1, (6, 3)), rng.uniform(0, 1, (6, 3))
    length = np.array([3, 2, 1, 2, 0, 3])
    for column in columns:
        column[np.arange(3) >= length[:, np.newaxis]] = np.nan
    terms = MADE[name](*columns, length)
    assert terms.method == name
    for row, n in enumerate(length):
        alone = MADE[name](*(column[row : row + 1, :n] for column in columns))
        assert terms.base[row] == pytest.approx(alone.value, rel=1e-12)
        assert terms.weight[row] == pytest.approx(alone.weight[0], rel=1e-12)
    assert (terms.base[4], terms.weight[4]) == (0.0, 1.0)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    ("column", "value", "code", "words"),
    [
        (1, math.nan, "unknown_propensity", "slot 1: the propensity of row 2 is unknown"),
        (1, 0.0, "bad_propensity", "slot 1: the propensity of row 2 is 0"),
        (2, 1.5, "bad_target", "slot 1: the target of row 2 is 1.5"),
    ],
)
def test_probabilities_that_are_none_are_refused_by_slot_and_row(
    name: str, column: int, value: float, code: str, words: str
) -> None:
    columns = [np.full((3, 2), 0.5) for _ in range(3)]
    columns[column][2, 1] = value
    with pytest.raises(InvalidInput, match=words) as refused:
        MADE[name](*columns)
    assert refused.value.code == code


@pytest.mark.parametrize("name", ["slate_ips", "independent", "cascade", "cascade_dr"])
def test_rewards_that_are_none_are_refused_by_slot_and_row(name: str) -> None:
    columns = [np.full((3, 2), 0.5) for _ in range(3)]
    columns[0][2, 1] = math.inf
    with pytest.raises(InvalidInput, match="the reward of row 2, slot 1, is inf"):
        MADE[name](*columns)
    with pytest.raises(InvalidInput, match=r"reward has the shape \(3, 1\)"):
        MADE[name](columns[0][:, :1], *columns[1:])


def test_what_else_fits_no_lists_is_refused() -> None:
    half = np.full((3, 2), 0.5)
    for wrong, words in (
        (lambda: cascade(half, half, half[:, :1]), r"propensity has the shape \(3, 2\), target \(3, 1\)"),
        (lambda: cascade(half[0], half[0], half[0]), r"both must be \[lists, slots\]"),
        (lambda: cascade(half, half, half, np.array([1, 2, 3])), "length of row 2 is 3: it must be from 0 to 2"),
        (lambda: cascade(half, half, half, np.array([1, -1, 2])), "length of row 1 is -1"),
        (lambda: cascade(half, half, half, np.array([1.0, 1.0, 1.0])), "a whole number for each list"),
        (lambda: cascade(half, half, half, np.array([1, 1])), "a whole number for each list"),
        (lambda: pseudo_inverse(np.ones(2), half, half), "one number for each of 3 rows"),
        (lambda: pseudo_inverse(np.full(3, math.nan), half, half), "reward of row 0 is nan"),
        (lambda: cascade_dr(half, half, half, half * math.nan, half), "predicted of row 0, slot 0, is nan"),
        (lambda: cascade_dr(half, half, half, half, half * math.nan), "expected of row 0, slot 0, is nan"),
    ):
        with pytest.raises(InvalidInput, match=words):
            wrong()


@pytest.mark.parametrize("name", MADE)
def test_without_lists_there_is_no_value(name: str) -> None:
    none = np.zeros((0, 2))
    assert math.isnan(MADE[name](none, none, none).value)
