"""What is a number in text: what formats of logs mean, and nothing else that Python reads."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onearm.engine.storage.numerals import natural_in, number_in, sure_number

NONE = ["", " ", "1_000", "_1", "\u0661", "\uff11", "1\u00a0", "\n1", "inf", "-inf", "nan", "0x10", "1,5", "1e", "."]


@pytest.mark.parametrize("text", NONE)
def test_what_no_format_means_is_no_number(text: str) -> None:
    assert math.isnan(number_in(text))
    with pytest.raises(ValueError, match="is no number"):
        sure_number(text)


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1.0), ("+.5", 0.5), ("5.", 5.0), ("-1E-3", -0.001), (" 7\t", 7.0), ("1e999", math.inf)]
)
def test_digits_with_a_sign_a_point_and_an_exponent_are_one(text: str, number: float) -> None:
    assert number_in(text) == sure_number(text) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_of_json_is_read_to_the_bit(number: float) -> None:
    assert number_in(json.dumps(number)) == number


@pytest.mark.parametrize("text", [*NONE, "-1", "+1", " 1", "1.0", "9" * 5000, "\u00b2"])
def test_whole_numbers_are_digits_and_nothing_else(text: str) -> None:
    assert natural_in(text) is None


@given(st.integers(0, 10**100))
def test_every_whole_number_is_read(number: int) -> None:
    assert natural_in(str(number)) == number
