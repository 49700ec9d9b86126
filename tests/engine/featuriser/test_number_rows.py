"""Rows of numbers from the JSON of actions: those of Python to the bit, or left to it."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import numpy as np
import pytest

from onearm.api.experiment.context_intake import ContextIntake
from onearm.engine.errors import InvalidInput
from onearm.engine.featuriser.number_rows import entry, rows_of

LENGTH = 3
ODD = [
    '[{"id":"a","features":[1,2,3]}]',
    ' [ { "features" : [ -0 , -0.0 , 0e5 ] , "id" : "a" } , {"id":"","features":[1e-40,1E+2,2.5e-3]} ] \n',
    '[{"id":"a","features":[1,2]}]',
    '[{"id":"a","features":[1,2,3,4]}]',
    '[{"id":"a","features":[]}]',
    '[{"id":"a","features":[1,2,"3"]}]',
    '[{"id":"a","features":[1,2,true]}]',
    '[{"id":"a","features":[1,2,null]}]',
    '[{"id":"a","features":[1,2,[3]]}]',
    '[{"id":"a","features":[1,2,3],"price":4}]',
    '[{"id":"a","features":[1,2,3],"features":[4,5,6]}]',
    '[{"id":"a","id":"b","features":[4,5,6]}]',
    '[{"id":7,"features":[1,2,3]}]',
    '[{"features":[1,2,3]}]',
    '[{"id":"a"}]',
    '[{"id":"\\u0061","features":[1,2,3]}]',
    '[{"id":"é","features":[1,2,3]}]',
    '[{"i\\u0064":"a","features":[1,2,3]}]',
    '[{"id":"a","features":[1e400,2,3]}]',
    '[{"id":"a","features":[1e9999999999999999999999,2,3]}]',
    '[{"id":"a","features":[123456789012345678901234567890,2,3]}]',
    '[{"id":"a","features":[0.1234567890123456789012345,2,3]}]',
    '[{"id":"a","features":[01,2,3]}]',
    '[{"id":"a","features":[1.,2,3]}]',
    '[{"id":"a","features":[.5,2,3]}]',
    '[{"id":"a","features":[+1,2,3]}]',
    '[{"id":"a","features":[1e,2,3]}]',
    '[{"id":"a","features":[-,2,3]}]',
    '[{"id":"a","features":[NaN,2,3]}]',
    '[{"id":"a","features":[1,2,3],}]',
    '[{"id":"a","features":[1,2,3,]}]',
    '[{"id":"a","features":[1,2,3]},]',
    '[{"id":"a","features":[1,2,3]}]]',
    '[{"id":"a","features":[1,2,3]}',
    '[{"id":"a","features":[1 2 3]}]',
    "[1]",
    "[]",
    "{}",
    "null",
    "",
]


@pytest.fixture(autouse=True)
def _compiled() -> None:
    entry().wait()


def said(actions: str) -> bytes | None:
    """Return what Python makes of JSON, None where it refuses that."""
    try:
        decoded = msgspec.json.decode(actions.encode(), type=list[dict[str, Any]])
        if not all(type(action.get("id")) is str for action in decoded):
            return None
        found: bytes = ContextIntake(per_call=True, action_length=LENGTH).read(None, decoded).tobytes()
    except (msgspec.DecodeError, InvalidInput):
        return None
    return found


def read(actions: str) -> bytes | None:
    found = rows_of(actions.encode(), LENGTH)
    return None if found is None else found.tobytes()


@pytest.mark.jit
def test_odd_json_is_read_as_it_is_in_python_or_left_to_that() -> None:
    assert [read(odd) for odd in ODD[:2]] == [said(odd) for odd in ODD[:2]] != [None, None]
    assert [(odd, read(odd)) for odd in ODD[2:] if read(odd) not in (None, said(odd))] == []


def number(draws: random.Random) -> str:
    """Return a number as JSON has it."""
    value = draws.choice(
        [
            draws.random(),
            draws.gauss(0, 1e3),
            round(draws.gauss(0, 1), 3),
            draws.randrange(-9, 10),
            draws.getrandbits(60),
            draws.random() * 10.0 ** draws.randrange(-300, 300),
        ]
    )
    return draws.choice([repr(value), f"{value:.{draws.randrange(1, 17)}e}", f"{value:.{draws.randrange(1, 12)}f}"])


@pytest.mark.jit
def test_numbers_have_the_last_bit_of_float() -> None:
    draws, sure = random.Random(5), 0
    for _ in range(4_000):
        lists = ("[" + ",".join(number(draws) for _ in range(LENGTH)) + "]" for _ in range(draws.randrange(1, 5)))
        text = "[" + ", ".join(f'{{"id": "{i}", "features": {one}}}' for i, one in enumerate(lists)) + "]"
        if draws.random() < 0.3:
            at = draws.randrange(len(text))
            text = text[:at] + draws.choice('[]{},:"\\ 0.e-a') + text[at + draws.randrange(2) :]
        found = read(text)
        sure += found is not None
        assert found is None or found == said(text), text
    assert sure > 1_000


@pytest.mark.jit
def test_many_actions_are_rows_of_their_own() -> None:
    rows = np.random.default_rng(1).normal(size=(2_000, 40)).round(4)
    text = json.dumps([{"id": f"arm {i}", "features": row} for i, row in enumerate(rows.tolist())])
    found = rows_of(text.encode(), 40)
    assert found is not None and found.base is None
    np.testing.assert_array_equal(found, rows)
    assert rows_of(b'[{"id":"","features":[' + b"1," * 20 + b"1]}]", 40) is None
