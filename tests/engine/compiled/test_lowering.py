"""How numba's code of a function is written: tuples handed over whole, variables that are values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import config
from support.compiled import compiled

from onearm.engine.compiled.libraries import InlinedLibrary
from onearm.engine.kernel import kernel

pytestmark = pytest.mark.jit


class Inner(NamedTuple):
    first: np.ndarray
    second: np.ndarray
    flag: bool


class Outer(NamedTuple):
    inner: Inner
    pair: tuple[float, int]


@kernel
def flagged(outer: Outer, place: int) -> Outer:
    if not outer.inner.flag:
        return outer
    return Outer(Inner(outer.inner.second, outer.inner.first, False), (outer.pair[0] + place, outer.pair[1]))


@kernel
def of_many_blocks(outer: Outer, n: int) -> float:
    kept = outer.inner
    total, last = 0.0, -1.0
    for i in range(n):
        found = flagged(outer, i)
        if i % 2:
            value = found.inner.first[i] * found.pair[1]
            if value > 10.0:
                continue
            last = value
        else:
            value = found.pair[0] if kept.flag else kept.second[i]
        total += value
    return total + last


@kernel
def countdown(outer: Outer, n: int) -> float:
    """Call itself, as no kernel of ours does."""
    if n <= 0:
        return 0.0
    return outer.inner.first[n] + countdown(outer, n - 1)


def counted(outer: Outer, n: int) -> float:
    return countdown(outer, n)


def outer(flag: bool) -> Outer:
    return Outer(Inner(np.arange(8.0), np.linspace(-1.0, 1.0, 8), flag), (0.25, 3))


@pytest.mark.parametrize("run", [of_many_blocks, counted])
@pytest.mark.parametrize("flag", [False, True])
def test_compiled_it_is_what_python_makes_of_it(run: Any, flag: bool) -> None:
    for n in range(8):
        assert compiled(run)(outer(flag), n) == run(outer(flag), n)


def test_a_kernel_takes_a_tuple_as_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {}
    add = InlinedLibrary.add_ir_module

    def noted(library: Any, module: Any) -> None:
        taken[library.name] = [len(one.args) for one in module.functions if one.blocks]
        add(library, module)

    monkeypatch.setattr(InlinedLibrary, "add_ir_module", noted)

    @kernel
    def sum_of_pair(outer: Outer, place: int) -> float:
        return outer.pair[0] + place

    def called(outer: Outer, place: int) -> float:
        return sum_of_pair(outer, place)

    assert compiled(called)(outer(True), 1) == 1.25
    assert list(taken.values()) == [[4]]  # its two, and where the result and an error go


def elements(flat: np.ndarray, table: np.ndarray, cube: np.ndarray, flags: np.ndarray, small: np.ndarray) -> float:
    total = 0.0
    for i in range(2):
        flat[-1 - i] = i + 7
        flags[i] = table[i, -1] > 2.0
        table[i, -2] += flat[np.uint64(i)] + cube[-1, np.uint8(i), -2]
        cube[i, -1, np.uint64(1)] = table[-1, i]
        small[i - 2] = flat[2] + 0.75
        total += small[i] if flags[i] else flat[-3]
    return total


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("step", [1, 2])
def test_elements_are_read_and_written_where_python_does(order: Any, step: int) -> None:
    """From the end as from the begin, whatever the order of an array, or the gaps in it, and as its type takes them."""
    arrays = []
    for shape, dtype in (((6,), float), ((4, 6), float), ((4, 4, 6), float), ((4,), bool), ((4,), np.uint8)):
        whole = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
        arrays.append([whole.copy(order="K")[::step] for _ in range(2)])
    ours, pythons = zip(*arrays, strict=True)
    assert compiled(elements)(*ours) == elements(*pythons)
    for one, other in zip(ours, pythons, strict=True):
        assert one.tobytes() == other.tobytes()
    assert ours[1].tobytes() != np.arange(24.0).reshape(4, 6)[::step].tobytes()


def element(array: np.ndarray, at: int) -> float:
    return array[at]


def test_numbas_variable_for_bounds_checks_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "BOUNDSCHECK", 1)
    with pytest.raises(IndexError):
        compiled(element)(np.arange(3.0), 3)
