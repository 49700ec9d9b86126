"""States as clients name them: numbers, ids and factors, read and told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.api.experiment.states import States
from onearm.engine.errors import InvalidInput

THREE = States.from_json({"factors": {"a": 2, "b": 3, "c": 4}})


def test_the_last_factor_counts_fastest() -> None:
    seen = [THREE.number("state", {"c": c, "a": a, "b": b}) for a in range(2) for b in range(3) for c in range(4)]
    assert seen == list(range(24))
    assert [THREE.number("state", THREE.label(s)) for s in range(24)] == seen
    assert THREE.label(23) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("body", [{"count": 7}, {"ids": ["x", "y"]}, {"factors": {"b": 2, "a": 3}}])
def test_what_is_written_is_what_was_read(body: dict[str, Any]) -> None:
    states = States.from_json(body)
    assert states.to_json() == body
    assert States.from_json(states.to_json()) == states


def test_numbers_are_always_understood() -> None:
    named = States.from_json({"ids": ["x", "y"]})
    assert (named.number("state", 1), named.number("state", "y"), named.label(1)) == (1, 1, "y")


def test_numbers_of_numpy_are_numbers() -> None:
    assert THREE.number("state", np.int64(5)) == THREE.number("state", 5)
    assert type(THREE.number("state", np.int64(5))) is int
    assert THREE.number("state", {"a": np.int32(1), "b": np.uint8(0), "c": np.int64(3)}) == 15


def test_what_followed_is_a_state_or_the_end() -> None:
    assert THREE.following({"a": 0, "b": 0, "c": 3}, False) == 3.0
    assert THREE.following(None, True) == 24.0
    assert THREE.followed(3.0) == {"next_state": {"a": 0, "b": 0, "c": 3}}
    assert THREE.followed(24.0) == {"ended": True}


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (24, "unknown_state", "the states of this experiment are 0 to 23"),
        (-1, "unknown_state", "0 to 23"),
        (10**4_000, "unknown_state", "state is a number of some 4000 digits"),
        (True, "bad_state", "it must be an object of a"),
        ("a", "bad_state", r"an object of a \(0 to 1\), b \(0 to 2\), c \(0 to 3\), or a number from 0 to 23"),
        ({"a": 0, "b": 0}, "bad_state", "state.c is None: it must be from 0 to 3"),
        ({"a": 2, "b": 0, "c": 0}, "bad_state", "state.a is 2"),
        ({"a": 0, "b": 0, "c": 0, "d": 0}, "bad_state", "has the field 'd'"),
        ({"a": 0, "b": False, "c": 0}, "bad_state", "state.b is False"),
        ({"a": 0, "b": 10**5_000, "c": 0}, "bad_state", "state.b is a number of some 5000 digits"),
    ],
)
def test_what_is_no_state_is_refused(said: Any, code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refusal:
        THREE.number("state", said)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"factors": {f"f{i}": 1 for i in range(17)}}, "an object of 1 to 16 names"),
        ({"factors": {}}, "an object of 1 to 16 names"),
        ({"factors": ["a"]}, "an object of 1 to 16 names"),
        ({"ids": []}, "a list of one or more ids"),
        ({"ids": "ab"}, "a list of one or more ids"),
        ({"count": 2.0}, "count is 2.0: it must be a whole number"),
        ({"count": 10**5_000}, "count is a number of some 5000 digits: it must be a whole number from 1 to 4000000"),
        ({"factors": {"a": 10**5_000}}, "the values of a is a number of some 5000 digits"),
        ({"factors": {"a": 4_000, "b": 4_000}}, "factors make 16000000 states: there may be 4000000"),
        ({"count": 1, "factors": {"a": 1}}, "problem.states has count and factors"),
    ],
)
def test_bad_states_are_refused(body: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        States.from_json(body)


@pytest.mark.parametrize("said", ["yes", None, 2, 1.0, math.nan, [True], pytest.param(10**5_000, id="digits")])
def test_whether_a_unit_begins_or_ends_is_true_or_false(said: Any) -> None:
    with pytest.raises(InvalidInput, match=r"begins is .*: it must be true or false") as refusal:
        THREE.context(0, said)
    assert refusal.value.code == "bad_state"
    with pytest.raises(InvalidInput, match=r"ended is .*: it must be true or false") as refusal:
        THREE.following(None, said)
    assert refusal.value.code == "bad_next_state"
    assert THREE.context(0, np.bool_(True)).tolist() == [0.0, 1.0] and THREE.following(None, np.bool_(True)) == 24.0


def test_an_id_that_is_there_twice_is_found_among_many_at_once() -> None:
    ids = [CountedId(f"s{n}") for n in range(1000)]
    CountedId.compared = 0
    with pytest.raises(InvalidInput, match="two states have the id 's999'"):
        States.from_json({"ids": [*ids, CountedId("s999")]})
    assert CountedId.compared < 10 * len(ids)


class CountedId(str):
    """An id that counts how often it was compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedId.compared += 1
        return str.__eq__(self, other)
