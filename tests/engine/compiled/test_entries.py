"""Shapes tell arguments apart where numba's types do: an entry that is found by its shape has the right code."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest
from numba import typeof

from onearm.engine.compiled.entries import shape_of


class One(NamedTuple):
    value: object


class Other(NamedTuple):
    value: object


def read_only() -> np.ndarray:
    array = np.zeros(3)
    array.flags.writeable = False
    return array


def unaligned() -> np.ndarray:
    return np.zeros(25, np.uint8)[1:].view(np.float64)


VALUES = [
    1,
    2**62,
    2**63,
    1.0,
    True,
    None,
    "text",
    np.float32(1),
    np.float64(1),
    np.int64(1),
    np.uint64(1),
    np.bool_(True),
    np.zeros(3),
    np.zeros(3, np.float32),
    np.zeros(3, np.int64),
    np.zeros((3, 3)),
    np.zeros((3, 3)).T,
    np.zeros((3, 4), order="F"),
    np.zeros((3, 3))[:, 1:],
    np.zeros(6)[::2],
    read_only(),
    unaligned(),
    np.zeros(3, [("a", np.int64)]),
]


@pytest.mark.parametrize("wrap", [lambda v: v, One, Other, lambda v: (v, 1.0), lambda v: One(One(v))])
def test_values_of_two_types_have_two_shapes(wrap):
    known = [(wrap(value), typeof(wrap(value))) for value in VALUES]
    pairs = [(a, b) for (a, s), (b, t) in combinations(known, 2) if s != t]
    assert len(pairs) > 150
    assert [(a, b) for a, b in pairs if shape_of(a) == shape_of(b)] == []


def test_the_class_of_a_tuple_is_part_of_its_shape():
    assert len({shape_of(One(1.0)), shape_of(Other(1.0)), shape_of((1.0,))}) == 3


def test_values_do_not_matter():
    assert shape_of(One(np.zeros(3))) == shape_of(One(np.ones(300)))
    assert shape_of(3) == shape_of(-4)
