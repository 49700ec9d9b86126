"""Named table: a labelled table with named features as a contextual bandit, reward 1 for the right class.

Source: as `classification`, with rows of few features out of many: words, tags, categories. What is shown of a row is
what `Encoder(bits).encode({"x": row}, [{"id": "0"}, ..., {"id": "k-1"}])` gives: its features are shared, and each arm
has its id and the products of its id with them. Each replication meets the rows in an order of its own; after the last
row the first comes again.
State: the order of the rows. Cost: O(k n) per decision with n features, to copy them.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import uniform
from ...engine.errors import InvalidInput
from ...engine.features import BITS_MAX, feature_number, mixed
from ...engine.kernel import kernel
from ...engine.labelled import check_label, order_of
from ...engine.problem import check_param
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Features, Instance, Key, Problem


class NamedTableParams(NamedTuple):
    """Numbers fixed at creation."""

    start: Array  # int64[n, k + 2] where the features of each row of the table and of each arm begin
    index: Array  # uint32[m] slots, ascending within an arm
    value: Array  # float64[m]
    label: Array  # int64[n] class of each row, 0 to k - 1
    shuffle: bool  # whether each replication has an order of its own
    wrong: float  # how likely a wrong class pays 1
    right: float  # how likely the right one does


class NamedTableState(NamedTuple):
    """Written once, from nature's key."""

    order: Array  # int64[n] row met at t mod n


def named_table(
    rows: list[dict[str, float]],
    label: list[int],
    bits: int = 18,
    shuffle: bool = True,
    wrong: float = 0.0,
    right: float = 1.0,
) -> Environment:
    """Pay 1 for the class of the row with probability `right`, and for any other one with probability `wrong`, else 0.

    `rows` are objects of names and numbers, `label` a class from 0 for each. `shuffle` = False keeps the order of the
    table.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= BITS_MAX:
        raise InvalidInput("bad_param", f"bits is {bits!r}: it must be a whole number from 1 to {BITS_MAX}")
    labels = check_label(label, len(rows))
    k = int(labels.max()) + 1
    check_param("wrong", wrong, low=0.0, high=1.0)
    check_param("right", right, low=wrong, high=1.0)
    start, index, value = _shown(rows, k, bits)
    nonzeros = max(int((start[:, -1] - start[:, 0]).max()), 1)
    problem = Problem(k, (k, 1 << bits), horizon=len(rows), reward_range=(0.0, 1.0), nonzeros=nonzeros)
    params = NamedTableParams(start, index, value, labels, bool(shuffle), float(wrong), float(right))
    return Environment("named_table", params, init, problem, regret_kind="right class every time")


def init(params: NamedTableParams, problem: Problem, run: np.uint64) -> NamedTableState:
    """Return the rows' order: the table's, or one drawn from nature's key."""
    return NamedTableState(order_of(len(params.label), params.shuffle, run))


@kernel
def observe(
    params: NamedTableParams, state: NamedTableState, t: int, context: Features, available: Array, key: Key
) -> None:
    """Show the features of the row."""
    start = params.start[state.order[t % len(state.order)]]
    first = context.start[0]
    for row in range(len(start)):
        context.start[row] = first + start[row] - start[0]
    for j in range(start[len(start) - 1] - start[0]):
        context.index[first + j] = params.index[start[0] + j]
        context.value[first + j] = params.value[start[0] + j]


@kernel
def respond(
    params: NamedTableParams, state: NamedTableState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay 1 or 0, at once."""
    right = action == params.label[state.order[instance.t % len(state.order)]]
    return (1.0 if uniform(key, 0) < (params.right if right else params.wrong) else 0.0), 0


@kernel
def regret(params: NamedTableParams, state: NamedTableState, instance: Instance, action: int) -> float:
    """Return how much less likely a wrong class pays."""
    right = action == params.label[state.order[instance.t % len(state.order)]]
    return 0.0 if right else params.right - params.wrong


def _shown(rows: list[dict[str, float]], k: int, bits: int) -> tuple[Array, Array, Array]:
    """Return what is shown of all rows: features that meet in a slot are added up."""
    number_of = functools.cache(lambda name: feature_number("x", name))
    ids = np.array([feature_number("", f"id={a}") for a in range(k)], np.uint64)
    start, indexes, values, end = np.zeros((len(rows), k + 2), np.int64), [], [], 0
    for i, row in enumerate(rows):
        names, sizes = _checked(row, i)
        alone = np.array([number_of(name) for name in names], np.uint64)
        for a in range(-1, k):
            start[i, a + 1] = end
            numbers = alone if a < 0 else np.append(mixed(alone, ids[a]), ids[a])
            slot, where = np.unique(numbers & np.uint64((1 << bits) - 1), return_inverse=True)
            indexes.append(slot.astype(np.uint32))
            values.append(np.bincount(where, sizes if a < 0 else np.append(sizes, 1.0), len(slot)))
            end += len(slot)
        start[i, k + 1] = end
    return start, np.concatenate(indexes), np.concatenate(values)


def _checked(row: Any, i: int) -> tuple[list[str], Array]:
    """Return names and numbers of a row, without those that are 0."""
    if not isinstance(row, dict) or not all(isinstance(name, str) for name in row):
        raise InvalidInput("bad_param", f"row {i} is no object of names and numbers: give one for each row")
    kept = {name: value for name, value in row.items() if value != 0}
    try:
        sizes = np.array(list(kept.values()), np.float64)
    except (TypeError, ValueError):
        raise InvalidInput("bad_param", f"row {i} holds a value that is no number: give numbers") from None
    if not np.isfinite(sizes).all():
        raise InvalidInput("bad_param", f"row {i} holds a number that is not finite: leave it out")
    return list(kept), sizes


register_env(NamedTableParams, observe=observe, respond=respond, regret=regret)
