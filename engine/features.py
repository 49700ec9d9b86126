"""Named features: JSON objects, as people have them, become the numbers that kernels read.

A context and each action are JSON objects of namespaces, as in Vowpal Wabbit's JSON and dsjson:

    {"user": {"age": 31, "city": "paris", "tags": ["new", "vip"]}, "query": {"_text": "red shoes"}, "hour": 9}

    "age": 31              the feature `age` of the namespace `user`, with the value 31; 0 is no feature
    "city": "paris"        the feature `city=paris` with the value 1
    "member": true         the feature `member` with the value 1; false and null are no feature
    "tags": ["new"]        the feature `new` of the namespace `user.tags`, with the value 1
    "pixels": [0.5, 2]     the features `0` and `1` of the namespace `user.pixels`, with the values 0.5 and 2
    "address": {...}       the namespace `user.address`; objects in a list belong to the list's namespace
    "_text": "red shoes"   the features `red` and `shoes` with the value 1, and `red shoes` where 2-grams are asked for
    "_anything": ...       left out, as every other key that begins with an underscore
    "hour": 9              a feature of the namespace without a name, ""; an action's `id` is read as a string there

Features of one name add up. A feature is known by the first 8 bytes, little-endian, of
BLAKE2b(digest_size=8) of its namespace, the byte 0x1f and its name, in UTF-8. Its slot is that number mod 2^bits; two
features that meet in a slot share it. The product of two features is known by `mixed` of their two numbers. These
numbers are the same on every machine and in every version. So is that of a unit, whom a decision is for.

Source: Weinberger, Dasgupta, Langford, Smola, Attenberg 2009 (hashing; without their signs: an intercept takes up the
bias). Cost: 0.3 ms for 10 actions of 5 features and 20 shared ones, a third of it in the 1,000 products. That is the
plain path, in Python, which says what holds: compiled code (`featuriser/`) gives the same to the bit in 15 us, and what
it is not sure of is read here once more.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from .compiled.binding import Bound
from .errors import InvalidInput, as_seen
from .featuriser.cells import Wanted
from .featuriser.desk import desk, wanted
from .featuriser.fixed import (
    DEPTH_MAX,
    GOLDEN,
    MIX_1,
    MIX_2,
    NAME_MAX,
    NGRAMS_MAX,
    SHIFT_1,
    SHIFT_2,
    SHIFT_3,
    VALUE_MAX,
)
from .featuriser.interactions import checked_interactions, every_product, products_of
from .vocabulary import NOBODY, Array, Features

BITS_MAX = 26
DIMENSION_MAX = 1024
NONZEROS_MAX = 1_000_000  # of one context, with all its actions
REMEMBERED = 1 << 15  # features, by the plain path


class Cells(NamedTuple):
    """All features of one context, in no order: what shares a row and a slot is still apart."""

    row: Array  # int64[n], 0 for the context's own, a + 1 for those of action a
    number: Array  # uint64[n], what the feature is known by
    value: Array  # float64[n]
    left: Array  # int64[n], which entry it is,
    right: Array  # int64[n], and which one it is multiplied with, -1 for none,
    third: Array  # int64[n], and which one that is multiplied with, -1 for none


Entry = tuple[str, str, float]  # namespace, name, value


class Text(NamedTuple):
    """How text is read."""

    lower: bool = False
    ngrams: int = 1


PLAIN = Text()


@dataclass(frozen=True)
class Encoder:
    """Turns a shared context and the actions of one call into what kernels read.

    `interactions` are pairs of namespaces whose features are multiplied, each with each, or threes; None stands for
    every namespace of the context with every one of the action, () for no products. A namespace stands for those nested
    in it too. A product of features of the context belongs to the context, any other to the action. Of text, `lower`
    reads words in lower case, and with `ngrams` so many words or fewer that follow each other are one more feature.

    >>> encoder = Encoder(bits=10)
    >>> context, actions = {"user": {"age": 3}}, [{"id": "a"}, {"id": "b", "price": 0.5}]
    >>> found = encoder.encode(context, actions)
    >>> found.start.tolist(), found.value.tolist()
    ([0, 1, 3, 7], [3.0, 1.0, 3.0, 1.5, 1.0, 3.0, 0.5])
    >>> encoder.names(context, actions)[:2]
    [['user.age'], ['id=a', 'user.age*id=a']]
    """

    bits: int = 18  # of a slot, 1 to 26
    interactions: tuple[tuple[str, ...], ...] | None = None
    dimension: int | None = None  # columns of `dense`, 1 to 1024
    nonzeros: int = NONZEROS_MAX  # that one context may have, with all its actions
    lower: bool = False
    ngrams: int = 1  # 1 to 5

    def __post_init__(self) -> None:
        _check_whole("bits", self.bits, BITS_MAX)
        _check_whole("nonzeros", self.nonzeros, NONZEROS_MAX)
        if self.dimension is not None:
            _check_whole("dimension", self.dimension, DIMENSION_MAX)
        if self.interactions is not None:
            checked = checked_interactions(self.interactions, _short(self.interactions))
            object.__setattr__(self, "interactions", checked)
        _check_whole("ngrams", self.ngrams, NGRAMS_MAX)
        if not isinstance(self.lower, bool):
            raise InvalidInput("bad_param", f"lower is {as_seen(self.lower)}: it must be true or false")

    def encode(self, shared: Any, actions: Sequence[Any]) -> Features:
        """Return the features of k actions: slots ascend within a row, and none occurs twice in it.

        `shared` is an object or None. Raises `InvalidInput` where a limit is passed, or an action has no features.
        """
        found = desk().encode(self.slots_wanted, shared, actions)
        return self.plainly_encoded(shared, actions) if found is None else found

    def entries(self, shared: Any, actions: Sequence[Any]) -> tuple[list[Entry], list[int]]:
        """Return the features of the context and of all actions, and the row of each."""
        return entries_of(shared, actions, Text(self.lower, self.ngrams))

    def encode_sent(self, shared: Any, actions: bytes) -> Features | None:
        """Return what `encode` does of actions that are JSON, or None: then they are to be decoded, and encoded."""
        return desk().encode_sent(self.slots_wanted, shared, actions)

    def plainly_encoded(self, shared: Any, actions: Sequence[Any]) -> Features:
        """Do what `encode` does in Python: what that says holds, and its messages."""
        cells = self.cells(*self.entries(shared, actions))
        key = cells.row << self.bits | self.slots(cells)
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        value = np.add.reduceat(cells.value[order], first)
        key = key[first]
        start = np.searchsorted(key, np.arange(len(actions) + 2) << self.bits)
        return Features(start, (key & (1 << self.bits) - 1).astype(np.uint32), value)

    def dense(self, shared: Any, actions: Sequence[Any]) -> Array:
        """Return float64[k, dimension]: each action's row and the shared one, hashed to so many columns."""
        found = desk().dense(self.rows_wanted, shared, actions)
        return self.plainly_dense(shared, actions) if found is None else found

    def plainly_dense(self, shared: Any, actions: Sequence[Any]) -> Array:
        """Do what `dense` does in Python."""
        cells = self.cells(*self.entries(shared, actions))
        columns = self._columns()
        place = cells.row * columns + self._column(cells)
        rows = np.bincount(place, cells.value, (len(actions) + 1) * columns).reshape(-1, columns)
        return np.asarray(rows[1:] + rows[0])

    def names(self, shared: Any, actions: Sequence[Any]) -> list[list[str]]:
        """Return the name of each entry that `encode` gives, row by row; what shares a slot is joined by " + "."""
        entries, rows = self.entries(shared, actions)
        cells = self.cells(entries, rows)
        found = named(entries, cells, self.slots(cells), len(actions) + 1)
        return [[row[slot] for slot in sorted(row)] for row in found]

    def dense_names(self, shared: Any, actions: Sequence[Any]) -> list[list[str]]:
        """Return the name of each column that `dense` gives, action by action; "" for one that nothing is in."""
        entries, rows = self.entries(shared, actions)
        cells = self.cells(entries, rows)
        common, *own = named(entries, cells, self._column(cells), len(actions) + 1)
        columns = range(self._columns())
        return [[" + ".join(row[j] for row in (common, mine) if j in row) for j in columns] for mine in own]

    @cached_property
    def slots_wanted(self) -> Bound[Wanted]:
        """What compiled code is to make of features where it makes slots."""
        return wanted(self.bits, 0, self.nonzeros, self.interactions, self.lower, self.ngrams)

    @cached_property
    def rows_wanted(self) -> Bound[Wanted]:
        """What it is to make where it makes rows of numbers."""
        return wanted(self.bits, self._columns(), self.nonzeros, self.interactions, self.lower, self.ngrams)

    def slots(self, cells: Cells) -> Array:
        """Return the slot of each cell, int64[n]."""
        return (cells.number & np.uint64((1 << self.bits) - 1)).view(np.int64)

    def _column(self, cells: Cells) -> Array:
        return (cells.number % np.uint64(self._columns())).view(np.int64)

    def _columns(self) -> int:
        assert self.dimension is not None, "an encoder of dense rows has a dimension"
        return self.dimension

    def cells(self, entries: list[Entry], rows: list[int]) -> Cells:
        """Return the entries and their products; rows ascend."""
        n = len(entries)
        row = np.array(rows, np.int64)
        number = np.fromiter(_numbers(entries), np.uint64, n)
        value = np.fromiter((value for _, _, value in entries), np.float64, n)
        left, right, third = self._products(entries, row).T
        at, product, size = (
            np.maximum(row[left], row[right]),
            mixed(number[left], number[right]),
            value[left] * value[right],
        )
        three = np.flatnonzero(third >= 0)
        last = third[three]
        at[three] = np.maximum(at[three], row[last])
        product[three] = mixed(product[three], number[last])
        size[three] *= value[last]
        alone = np.full(n, -1)
        return Cells(
            np.concatenate([row, at]),
            np.concatenate([number, product]),
            np.concatenate([value, size]),
            np.concatenate([np.arange(n), left]),
            np.concatenate([alone, right]),
            np.concatenate([alone, third]),
        )

    def _products(self, entries: list[Entry], row: Array) -> Array:
        """Return which entries are multiplied with which others, int64[m, 3]: -1 for no third one."""
        if self.interactions is None:
            made = list(every_product(row))
        else:
            made = list(products_of(self.interactions, [space for space, _, _ in entries], row))
        size = len(row) + sum(n for n, _ in made)
        if size > self.nonzeros:
            raise InvalidInput(
                "too_many_features",
                f"the context has {size} features, those of all actions and products counted: at most {self.nonzeros} "
                "are allowed; send fewer, have fewer actions, or name the interactions that matter",
            )
        return np.concatenate([np.zeros((0, 3), np.int64), *(make() for _, make in made)])


def _numbers(entries: list[Entry]) -> Iterator[int]:
    """Yield what each entry is known by, and remember it."""
    known = desk().plain
    if len(known) > REMEMBERED:
        known.clear()
    for space, name, _ in entries:
        number = known.get((space, name))
        if number is None:
            number = known[space, name] = feature_number(space, name)
        yield number


def feature_number(namespace: str, name: str) -> int:
    """Return the 64-bit number that a feature is known by.

    >>> hex(feature_number("user", "city=paris"))
    '0x5f82c7ddd1717c9d'
    """
    text = f"{namespace}\x1f{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def mixed(left: Array, right: Array) -> Array:
    """Return the number of the product of two features, uint64[n]; the order matters.

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over left * 0x9e3779b97f4a7c15 + right, mod 2^64.
    """
    z = left * GOLDEN + right
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return np.asarray(z ^ (z >> SHIFT_3))


def unit_of(unit_id: str | None) -> np.uint64:
    """Return what a unit, whom a decision is for, is known by; never 0, which is `NOBODY`, for an id. Takes 1 us.

    It is the first 8 bytes of a digest, as a feature's: of n units any two have one number with a chance of
    n^2 / 2^65, which is 3 in a million for ten million.

    >>> unit_of("user-7"), unit_of(None)
    (np.uint64(11056362442684682814), np.uint64(0))
    """
    if unit_id is None:
        return NOBODY
    digest = blake2b(unit_id.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little") or 1)


def units_of(unit_ids: Sequence[str | None]) -> Array:
    """Return what n units are known by, uint64[n]; uint64[1], `NOBODY`, where none has an id."""
    known = {unit_id: unit_of(unit_id) for unit_id in set(unit_ids)}
    if known.keys() <= {None}:
        return np.zeros(1, np.uint64)
    return np.array([known[unit_id] for unit_id in unit_ids], np.uint64)


def entries_of(shared: Any, actions: Sequence[Any], text: Text = PLAIN) -> tuple[list[Entry], list[int]]:
    """Return the features of the context and of all actions, and the row of each."""
    if not len(actions):
        raise InvalidInput("no_actions", "the set of actions is empty: at least one is needed")
    entries: list[Entry] = []
    if shared is not None:
        _add_object(entries, "", shared, 1, "the context", text)
    rows = [0] * len(entries)
    for a, action in enumerate(actions):
        what = f"action {a}"
        if isinstance(action, dict) and type(action.get("id")) in (int, float):
            action = action | {"id": str(action["id"])}
        _add_object(entries, "", action, 1, what, text)
        if len(entries) == len(rows):
            raise InvalidInput("no_features", f"{what} has no features: give it an id, or fields of its own")
        rows += [a + 1] * (len(entries) - len(rows))
    return entries, rows


def _add_object(entries: list[Entry], space: str, thing: Any, depth: int, what: str, text: Text) -> None:
    """Add the features of an object to `entries`; `what` begins the messages."""
    if not isinstance(thing, dict):
        raise InvalidInput("bad_feature", f"{what} is {_short(thing)}: named features come as a JSON object")
    if depth > DEPTH_MAX:
        raise InvalidInput("bad_feature", f"{what} is nested deeper than {DEPTH_MAX}: flatten it")
    for key, value in thing.items():
        _check_text(key, what)
        if key[:1] == "_":
            if key == "_text":
                _add_text(entries, space, value, what, text)
        elif isinstance(value, str):
            _check_text(value, what)
            entries.append((space, f"{key}={value}", 1.0))
        elif isinstance(value, dict):
            _add_object(entries, f"{space}.{key}" if space else key, value, depth + 1, what, text)
        elif isinstance(value, list | tuple):
            _add_list(entries, f"{space}.{key}" if space else key, value, depth + 1, what, text)
        else:
            _add_number(entries, space, key, value, what)


def _add_list(entries: list[Entry], space: str, values: Sequence[Any], depth: int, what: str, text: Text) -> None:
    if depth > DEPTH_MAX:
        raise InvalidInput("bad_feature", f"{what} is nested deeper than {DEPTH_MAX}: flatten it")
    for place, value in enumerate(values):
        if isinstance(value, str):
            _check_text(value, what)
            entries.append((space, value, 1.0))
        elif isinstance(value, dict):
            _add_object(entries, space, value, depth, what, text)
        elif isinstance(value, list | tuple):
            _add_list(entries, f"{space}.{place}", value, depth + 1, what, text)
        else:
            _add_number(entries, space, str(place), value, what)


def _add_text(entries: list[Entry], space: str, said: Any, what: str, text: Text) -> None:
    if not isinstance(said, str):
        raise InvalidInput("bad_feature", f"{what} has the _text {_short(said)}: it must be a string")
    words = (said.lower() if text.lower else said).split()
    for place, word in enumerate(words):
        _check_text(word, what)
        entries.append((space, word, 1.0))
        for first in range(place - 1, max(place - text.ngrams, -1), -1):
            entries.append((space, " ".join(words[first : place + 1]), 1.0))


def _add_number(entries: list[Entry], space: str, name: str, value: Any, what: str) -> None:
    if value is None or value is False:
        return
    try:
        number = float(value) if isinstance(value, numbers.Real) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    if not abs(number) <= VALUE_MAX:
        raise InvalidInput(
            "bad_feature",
            f"{what} has the feature {name!r} with the value {_short(value)}: it must be a string, a list, an object, "
            f"or a number from {-VALUE_MAX:g} to {VALUE_MAX:g}",
        )
    if number != 0.0:
        entries.append((space, name, number))


def _check_text(text: Any, what: str) -> None:
    if not isinstance(text, str) or len(text) > NAME_MAX:
        seen = f"of {len(text)} characters" if isinstance(text, str) else _short(text)
        raise InvalidInput(
            "bad_feature", f"{what} has a name or string {seen}: it must be a string of at most {NAME_MAX} characters"
        )


def _short(thing: Any) -> str:
    """Return a thing's text, cut where a message would drown in it."""
    text = repr(thing)
    return text if len(text) <= 60 else f"{text[:60]}..."


def named(entries: list[Entry], cells: Cells, place: Array, n_rows: int) -> list[dict[int, str]]:
    """Return for each row the names of what lies at each place."""
    texts = [f"{space}.{name}" if space else name for space, name, _ in entries]
    found: list[dict[int, list[str]]] = [{} for _ in range(n_rows)]
    for row, at, *parts in zip(*(part.tolist() for part in (cells.row, place, *cells[3:])), strict=True):
        text = "*".join(texts[part] for part in parts if part >= 0)
        here = found[row].setdefault(at, [])
        if text not in here:
            here.append(text)
    return [{at: " + ".join(here) for at, here in row.items()} for row in found]


def _check_whole(name: str, value: Any, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from 1 to {high}")
