"""Sums in lanes: vector instructions give the bits of the Python functions, and both the value of NumPy's product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.kernel import loop
from onearm.engine.oracles.lanes import add_scaled, column_sums, dot, four_dots, quadratic

SIZES = [1, 2, 7, 8, 9, 12, 16, 17, 31, 33, 64, 67]


@loop
def all_sums(a: Any, b: Any, form: Any, columns: Any) -> tuple[float, float]:
    column_sums(form, a, columns)
    return dot(a, b, len(a)), quadratic(form, a)


@pytest.mark.jit
@pytest.mark.parametrize("n", SIZES)
def test_compiled_sums_have_the_bits_of_python(n: int) -> None:
    a, b, form = operands(n)
    python = dot(a, b, n), quadratic(form, a)
    sums, expected = np.full(n, 9.0), np.zeros(n)
    column_sums(form, a, expected)
    assert all_sums(a, b, form, sums) == python
    assert sums.tolist() == expected.tolist()


@loop
def four(rows: Any, first: int, b: Any) -> tuple[float, float, float, float]:
    return four_dots(rows, first, b)


@pytest.mark.jit
@pytest.mark.parametrize("n", SIZES)
def test_four_compiled_sums_at_once_have_the_bits_of_each(n: int) -> None:
    b = operands(n)[1]
    rows = np.random.default_rng(n).normal(size=(7, n))
    for first in (0, 3):
        each = tuple(dot(row, b, n) for row in rows[first : first + 4])
        assert four(rows, first, b) == each == four_dots(rows, first, b)


@pytest.mark.parametrize("n", SIZES)
def test_sums_are_those_of_numpy(n: int) -> None:
    a, b, form = operands(n)
    assert dot(a, b, n) == pytest.approx(a @ b, abs=1e-13)
    assert quadratic(form, a) == pytest.approx(a @ form @ a, abs=1e-12)
    sums = np.full(n, 9.0)
    column_sums(form, a, sums)
    assert sums == pytest.approx(form.T @ a, abs=1e-12)


def test_only_the_first_n_are_added() -> None:
    a = np.arange(1.0, 21.0)
    assert [dot(a, a, n) for n in (0, 3, 8, 11)] == [0.0, 14.0, 204.0, 506.0]


@loop
def plus(to: Any, a: float, x: Any, n: int) -> None:
    add_scaled(to, a, x, n)


@pytest.mark.jit
@pytest.mark.parametrize("n", SIZES)
def test_scaled_terms_are_added_to_the_bit_and_no_further(n: int) -> None:
    x, to, _ = operands(n + 9)
    python, compiled = to.copy(), to.copy()
    add_scaled(python, 0.3, x, n)
    plus(compiled, 0.3, x, n)
    assert compiled.tolist() == python.tolist() == [*(to[:n] + 0.3 * x[:n]), *to[n:]]


def operands(n: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(n)
    return rng.normal(size=n), rng.normal(size=n), np.tril(rng.normal(size=(n, n)))
