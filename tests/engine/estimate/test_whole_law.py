"""Whole laws against the actions that were taken: every outcome of a small log, faults, refusals, pages."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate import diagnose, whole_law
from onearm.engine.estimate.whole_law import law_e_process
from onearm.engine.vocabulary import Array


def laws(n: int, k: int, seed: int) -> tuple[Array, Array]:
    """Return laws of random scores, float64[n, k], and actions drawn by them."""
    rng = np.random.default_rng(seed)
    power = np.exp(rng.standard_normal((n, k)))
    law = power / power.sum(axis=1, keepdims=True)
    return law, np.minimum((rng.random((n, 1)) > np.cumsum(law, axis=1)).sum(axis=1), k - 1)


@pytest.mark.parametrize("impossible", [False, True])
def test_a_log_that_is_right_leaves_the_capital_at_one_on_average(impossible: bool) -> None:
    """Exact: all sequences of 5 decisions among three actions; also where one of them cannot happen, or is sure."""
    law = laws(5, 3, 0)[0]
    if impossible:
        law[1], law[4] = [0.0, 0.4, 0.6], [0.0, 1.0, 0.0]
    mean = 0.0
    for actions in itertools.product(range(3), repeat=5):
        chance = float(law[np.arange(5), actions].prod())
        if chance > 0.0:
            mean += chance * math.exp(law_e_process(np.array(actions), law).log_e[-1])
    if not impossible:
        assert mean == pytest.approx(1.0, rel=1e-9)
    assert 0.5 < mean <= 1.0 + 1e-9  # what is bet on what cannot happen is lost


def test_what_is_done_as_the_laws_say_raises_no_alarm() -> None:
    for seed in range(20):
        law, drawn = laws(1000, 5, seed)
        assert law_e_process(drawn, law, 0.0025).alarm_at is None


@pytest.mark.parametrize(
    ("fault", "by"),
    [
        (lambda rng, law, drawn: law.argmax(axis=1), 60),
        (lambda rng, law, drawn: rng.integers(5, size=len(law)), 100),
        (lambda rng, law, drawn: (drawn + 1) % 5, 100),
        (lambda rng, law, drawn: np.choose(drawn, [3, 1, 2, 0, 4]), 200),
        (lambda rng, law, drawn: np.where((drawn == 2) & (rng.random(len(law)) < 0.5), 4, drawn), 600),
        (lambda rng, law, drawn: np.where(rng.random(len(law)) < 0.2, 1, drawn), 600),
    ],
    ids=["largest", "evenly", "shifted", "swapped", "one avoided", "one preferred"],
)
def test_what_is_done_instead_is_found(fault: Callable[..., Array], by: int) -> None:
    moments = []
    for seed in range(20):
        law, drawn = laws(1000, 5, seed)
        moments.append(law_e_process(fault(np.random.default_rng(seed), law, drawn), law, 0.0025).alarm_at or 9999)
    assert np.median(moments) <= by


def test_the_alarm_comes_at_the_first_decision_at_which_the_capital_is_twenty_whatever_the_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    law, drawn = laws(300, 4, 3)
    wrong = np.where(drawn == 0, 1, drawn)
    found = law_e_process(wrong, law)
    assert found.alarm_at is not None and found.alarm_at > 10
    before = law_e_process(wrong[: found.alarm_at - 1], law[: found.alarm_at - 1])
    at = law_e_process(wrong[: found.alarm_at], law[: found.alarm_at])
    assert before.log_e[-1] < math.log(20.0) <= at.log_e[-1]
    monkeypatch.setattr(whole_law, "_PAGE", 7)
    paged = law_e_process(wrong, law)
    assert (paged.alarm_at, paged.at.tolist()) == (found.alarm_at, [300])
    assert paged.log_e[-1] == pytest.approx(found.log_e[-1], rel=1e-9)


def test_the_ends_of_what_can_be_asked() -> None:
    nothing = law_e_process(np.zeros(0, np.int64), np.zeros((0, 3)))
    assert (len(nothing.at), len(nothing.log_e), nothing.alarm_at) == (0, 0, None)
    alone = law_e_process(np.zeros(100, np.int64), np.ones((100, 1)))
    assert (alone.log_e.tolist(), alone.alarm_at) == ([pytest.approx(0.0, abs=1e-12)], None)
    sure = law_e_process(np.zeros(100, np.int64), np.tile([1.0, 0.0], (100, 1)))
    assert sure.alarm_at is None
    many = laws(200, 40, 1)
    assert law_e_process(many[1], many[0]).alarm_at is None


@pytest.mark.parametrize(
    ("action", "law", "code", "words"),
    [
        ([0, 3], [[0.5, 0.5]] * 2, "action", "row 1 has action 3"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.4]], "law", "the law of row 1 adds up to 0.9"),
        ([0, 1], [[0.5, 0.5], [-0.5, 1.5]], "law", "its least entry is -0.5"),
        ([0, 0], [[0.5, 0.5], [0.0, 1.0]], "law", "row 1 has action 0, whose probability there is 0"),
        ([0], [[0.5, math.nan]], "law", "adds up to nan"),
        ([0, 1], [[0.5, 0.5]], "law", "a row for each action"),
    ],
)
def test_laws_that_are_none_are_refused(action: list[int], law: list[list[float]], code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        law_e_process(np.array(action), np.array(law))
    assert refused.value.code == code


def test_swapped_labels_are_said_where_the_law_is_told() -> None:
    law, drawn = laws(400, 5, 2)
    swapped = np.choose(drawn, [3, 1, 2, 0, 4])
    propensity, even = law[np.arange(400), swapped], np.full(400, 0.2)
    told = diagnose(propensity, even, swapped, 5, law=law)
    assert told.law is not None and told.law.alarm_at is not None
    assert any("in the order of the actions" in warning for warning in told.warnings)
    true = diagnose(law[np.arange(400), drawn], even, drawn, 5, law=law)
    assert true.law is not None and true.law.alarm_at is None
    assert true.warnings == []
