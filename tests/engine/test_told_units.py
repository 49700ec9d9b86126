"""Whom decisions are for and when they were made: what kernels are told is what the log says, through every loop.

The policy of these tests writes down the unit and the time of all that it is asked and told.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from support.noting import new_state, noting

from onearm.engine import features, loop
from onearm.engine.columns import concat, empty, row_instance, take
from onearm.engine.features import unit_of, units_of
from onearm.engine.vocabulary import (
    DECIDE,
    LEARN,
    NOBODY,
    Columns,
    Instance,
    Judged,
    Problem,
)

RUN = np.uint64(7)
PROBLEM = Problem(2)


NOTING = noting()
state = new_state


def log() -> Columns:
    """Four decisions for two units and for nobody, each with its feedback behind it."""
    unit, time = np.array([5, 2**63 + 1, 0, 5], np.uint64), np.array([10, 21, 32, 43])
    rows = empty(8, PROBLEM)._replace(unit=unit.repeat(2), time=time.repeat(2))
    rows.kind[:] = [DECIDE, LEARN] * 4
    rows.number[:] = np.arange(4).repeat(2)
    rows.action[:] = ((unit + time.astype(np.uint64)) % 2).repeat(2)
    rows.propensity[:] = 1.0
    rows.reward[1::2] = 0.5
    return rows


WHOLE = [11, 2**31, 106]  # of `log`


def test_the_number_of_a_unit_is_eight_bytes_of_a_digest_of_its_id() -> None:
    digest = blake2b("käfer".encode(), digest_size=8).digest()
    assert unit_of("käfer") == int.from_bytes(digest, "little")
    assert type(unit_of("käfer")) is type(unit_of(None)) is np.uint64  # or compiled code would be compiled again
    assert unit_of(None) == NOBODY == 0
    assert unit_of("") != 0


def test_units_of_nobody_take_no_room() -> None:
    assert units_of([None, None]).tolist() == units_of([]).tolist() == [0]
    assert units_of(["a", None, "b"]).tolist() == [unit_of("a"), 0, unit_of("b")]


def test_no_unit_has_the_number_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        def digest(self) -> bytes:
            return bytes(8)

    monkeypatch.setattr(features, "blake2b", lambda text, digest_size: Zeros())
    assert unit_of("unlucky") == 1


@pytest.mark.jit
def test_each_loop_hands_over_the_unit_and_the_time_of_each_row() -> None:
    params, rows = NOTING.params, log()
    replayed, folded, decided = state(), state(), state()
    assert loop.replay(params, replayed, RUN, rows) == -1
    loop.fold(params, folded, RUN, rows, None, None)
    made = take(rows, rows.kind == DECIDE)
    again = made._replace(action=np.full(4, -1))
    loop.decide_all(params, decided, RUN, again)
    assert again.action.tolist() == made.action.tolist()
    assert decided.marked.tolist() == WHOLE
    for found in (replayed, folded):
        assert found.marked.tolist() == found.learned.tolist() == WHOLE


@pytest.mark.jit
def test_policies_that_are_judged_are_told_of_the_unit_and_the_time_of_each_row() -> None:
    params, rows = NOTING.params, take(log(), slice(0, None, 2))
    none = np.zeros((4, 0))
    for judge, more in ((loop.match, (0, 0)), (loop.follow, (0,)), (loop.watch, (0, 9))):
        found, noted = Judged(np.zeros(4, np.int64), np.zeros(4), np.zeros(0)), state()
        judge(params, noted, RUN, rows, *more, none, found)
        assert found.chosen.tolist() == rows.action.tolist()
        assert noted.learned.tolist() == ([0, 0, 0] if judge is loop.watch else WHOLE)


def test_rows_of_one_unit_and_one_time_are_as_good_as_each_with_its_own() -> None:
    rows = log()._replace(unit=np.array([9], np.uint64), time=np.array([4]))
    assert [tuple(row_instance(3, rows, row))[3:] for row in (0, 7)] == [(9, 4), (9, 4)]
    assert take(rows, slice(2, 5)).unit.tolist() == [9]
    both = concat([rows, log()])
    assert both.unit.tolist() == [9] * 8 + log().unit.tolist()
    assert both.time.tolist() == [4] * 8 + log().time.tolist()
    assert concat([rows, rows]).unit.tolist() == [9]


def test_what_python_makes_is_for_nobody_unless_it_says_so() -> None:
    instance = Instance(0, np.zeros(0), np.ones(2, np.bool_))
    assert (instance.unit, instance.time) == (NOBODY, 0)
    assert type(instance.unit) is np.uint64
    assert empty(3, PROBLEM).unit.tolist() == empty(3, PROBLEM).time.tolist() == [0]
