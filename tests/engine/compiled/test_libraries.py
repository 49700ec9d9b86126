"""What is put into a compiled function, what it calls, and what it takes along."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from onearm.engine.compiled.libraries import LINKED
from onearm.engine.elementary import exp, log, log_gamma
from onearm.engine.kernel import Loop, kernel, routine

pytestmark = pytest.mark.jit


class Pair(NamedTuple):
    """Two arrays, of which `long_routine` reads the second."""

    unused: np.ndarray
    used: np.ndarray


class Sums(NamedTuple):
    total: float
    count: int


@routine
def long_routine(pair: Pair, factor: float) -> Sums:
    total = 0.0
    for j in range(len(pair.used)):
        total += exp(pair.used[j]) + log(pair.used[j]) + log_gamma(pair.used[j])
    return Sums(factor * total, len(pair.used))


@kernel
def short_kernel(pair: Pair, factor: float) -> float:
    return long_routine(pair, factor).total + 1.0


@kernel
def deep_kernel(pair: Pair, factor: float) -> float:
    return short_kernel(pair, factor) + short_kernel(pair, 2.0 * factor)


def through_kernels(pair: Pair, factor: float) -> float:
    return deep_kernel(pair, factor)


@routine
def sometimes(values: np.ndarray) -> float:
    """Fail where there are two values, as no kernel of ours does: by an exception of numba's."""
    a, b = values
    return a + b


def unpacked(values: np.ndarray) -> float:
    return sometimes(values)


PAIR = Pair(np.zeros(3), np.array([0.5, 1.0, 2.0]))
EXPECTED = 2 + 3 * 2.0 * sum(float(exp(x) + log(x) + log_gamma(x)) for x in PAIR.used)


def code_of(entry: Loop) -> str:
    """Return the machine code of a loop's only entry, as text."""
    (text,) = entry._jitted.inspect_asm().values()
    return str(text)


def test_kernels_leave_no_trace_and_routines_are_called() -> None:
    """Numba would hand `forceinline` of the kernels down to the routine."""
    entry = Loop(through_kernels)
    assert entry(PAIR, 2.0) == pytest.approx(EXPECTED)
    labels = [line for line in code_of(entry).splitlines() if line.endswith(":")]
    assert not any(name in line for line in labels for name in ("long_routine", "short_kernel", "deep_kernel"))
    assert any("call" in line or "mov" in line for line in code_of(entry).splitlines() if "long_routine$" in line)


def test_a_routine_takes_what_it_uses_and_no_status_where_it_cannot_fail() -> None:
    """Two arrays are 14 words to numba; here it is one pointer, one length, the factor, and where the result goes."""
    Loop(through_kernels)(PAIR, 2.0)
    (compiled,) = long_routine.overloads.values()  # type: ignore[attr-defined]
    link = compiled.library.link
    assert link.symbol in LINKED
    (declared,) = [line for line in link.forwarder.splitlines() if "declare" in line]
    assert "declare void" in declared
    assert declared.count(",") == 3
    assert "readonly" in declared


def test_a_routine_that_can_fail_says_so() -> None:
    entry = Loop(unpacked)
    assert entry(np.array([1.0, 2.0])) == 3.0
    with pytest.raises(ValueError):
        entry(np.array([1.0, 2.0, 3.0]))


def test_functions_of_numbas_own_may_call_kernels_and_routines() -> None:
    """As someone's script does who knows numba."""
    theirs: Any = numba.njit(through_kernels)
    assert theirs(PAIR, 2.0) == pytest.approx(EXPECTED)
    both: Any = numba.njit(lambda pair: short_kernel(pair, 1.0) + deep_kernel(pair, 2.0))
    assert both(PAIR) == pytest.approx(EXPECTED + EXPECTED / 6 + 2 / 3)


def test_python_may_call_kernels_and_routines() -> None:
    assert short_kernel(PAIR, 2.0) == pytest.approx(1 + (EXPECTED - 2) / 3)
    assert long_routine(PAIR, 2.0) == Sums(pytest.approx((EXPECTED - 2) / 3), 3)


@kernel
def stirred(word: np.uint64) -> np.uint64:
    word ^= word >> np.uint64(7)
    return word ^ (word << np.uint64(9))


@kernel
def stirred_well(word: np.uint64) -> np.uint64:
    word = stirred(stirred(stirred(stirred(stirred(stirred(stirred(stirred(word))))))))
    return stirred(stirred(stirred(stirred(stirred(stirred(stirred(stirred(word))))))))


@routine
def stir_each(words: np.ndarray) -> None:
    for i in range(16):
        words[i] = stirred_well(words[i])


def stir(words: np.ndarray) -> None:
    stir_each(words)


def test_a_loop_that_calls_a_kernel_is_not_written_out_before_that_is_put_in() -> None:
    words = np.arange(16, dtype=np.uint64)
    expected = [int(stirred_well(word)) for word in words]
    Loop(stir)(words)
    assert words.tolist() == expected
    (made,) = stir_each.overloads.values()
    assert 16 <= made.library.get_llvm_str().count(" shl ") < 16 * 16
