"""Interactions of named features: namespaces whose features are multiplied, two or three at a time.

As Vowpal Wabbit's `-q ui` and `--cubic uiq`. A product of features of the context alone belongs to the context, and
any other to the action that one of them is of. Of a namespace that is named twice side by side each product comes once.
Here is the plain path, with NumPy, which says what holds; the compiled code of `slots.py` and `cubic.py` does the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array

INTERACTIONS_MAX = 100
NONE = -1  # in place of a third entry

Made = tuple[int, Callable[[], Array]]  # products as they are counted, and what makes them: entries, int64[m, 3]


def checked_interactions(interactions: Any, seen: str) -> tuple[tuple[str, ...], ...]:
    """Return interactions as tuples; what is none is refused, as it was `seen`."""
    is_list = isinstance(interactions, list | tuple) and len(interactions) <= INTERACTIONS_MAX
    if is_list and all(map(_is_interaction, interactions)):
        return tuple(map(tuple, interactions))
    raise InvalidInput(
        "bad_param",
        f"interactions are {seen}: they must be up to {INTERACTIONS_MAX} pairs of namespaces, or threes, like "
        '[["user", "item"], ["user", "item", "query"]]; "" is that of what is in no namespace',
    )


def _is_interaction(spaces: Any) -> bool:
    is_list = isinstance(spaces, list | tuple) and 2 <= len(spaces) <= 3
    return is_list and all(isinstance(space, str) for space in spaces)


def every_product(row: Array) -> Iterator[Made]:
    """Yield the products of all entries of the context with all of the actions; `row` int64[n] says whose they are."""
    n_shared = int(np.searchsorted(row, 1))
    yield _block(np.arange(n_shared), np.arange(n_shared, len(row)), False)


def products_of(interactions: Sequence[tuple[str, ...]], spaces: list[str], row: Array) -> Iterator[Made]:
    """Yield the products of each interaction, of entries that lie in `spaces`."""
    bounds = np.searchsorted(row, np.arange(row[-1] + 2 if len(row) else 1))
    for interaction in interactions:
        members = [
            np.flatnonzero(np.fromiter((within(space, one) for space in spaces), np.bool_, len(spaces)))
            for one in interaction
        ]
        if len(interaction) == 2:
            yield from _pairs(members[0], members[1], interaction[0] == interaction[1], row, bounds)
        else:
            same = interaction[0] == interaction[1], interaction[1] == interaction[2]
            yield from _threes(members, same, row, bounds)


def within(namespace: str, outer: str) -> bool:
    """Tell whether a namespace is another one, or lies in it."""
    return namespace == outer or (outer != "" and namespace.startswith(f"{outer}."))


def _pairs(firsts: Array, seconds: Array, itself: bool, row: Array, bounds: Array) -> Iterator[Made]:
    n_first, n_second = (int(np.searchsorted(row[members], 1)) for members in (firsts, seconds))
    yield _block(firsts[:n_first], seconds[n_second:], False)
    if not itself:
        yield _block(firsts[n_first:], seconds[:n_second], False)
    for start, stop in pairwise(bounds.tolist()):
        one, other = (part[slice(*np.searchsorted(part, (start, stop)))] for part in (firsts, seconds))
        if len(one) and len(other):
            yield _block(one, other, itself)


def _block(one: Array, other: Array, itself: bool) -> Made:
    """Return the products of each of one with each of the other."""

    def make() -> Array:
        left, right = np.repeat(one, len(other)), np.tile(other, len(one))
        kept = left <= right if itself else np.ones(len(left), np.bool_)
        return np.stack([left[kept], right[kept], np.full(np.count_nonzero(kept), NONE)], axis=1)

    return len(one) * len(other), make


def _threes(members: list[Array], same: tuple[bool, bool], row: Array, bounds: Array) -> Iterator[Made]:
    for number, (start, stop) in enumerate(pairwise(bounds.tolist())):
        shared = [part[: np.searchsorted(part, bounds[1] if number else 0)] for part in members]
        own = [part[slice(*np.searchsorted(part, (start, stop)))] for part in members]
        yield _cube([np.concatenate(both) for both in zip(shared, own, strict=True)], shared, same, start)


def _cube(parts: list[Array], shared: list[Array], same: tuple[bool, bool], start: int) -> Made:
    """Return the products of three entries of which one at least is the row's own, from `start` on."""

    def make() -> Array:
        made = np.stack(np.meshgrid(*parts, indexing="ij"), axis=-1).reshape(-1, 3)
        kept = (made >= start).any(axis=1)
        for place in range(2):
            if same[place]:
                kept &= made[:, place] <= made[:, place + 1]
        return np.asarray(made[kept])

    return math.prod(map(len, parts)) - math.prod(map(len, shared)), make
