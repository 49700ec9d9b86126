"""Bound NamedTuples: compiled code reads and writes what Python does."""

from __future__ import annotations

import copy
import ctypes
import pickle
from typing import Any, NamedTuple

import golden
import numpy as np
import pytest
from numba import typeof
from numba.core.registry import cpu_target

from onearm.engine.compiled.binding import Bound, opened
from onearm.engine.draws import POLICY, run_key
from onearm.engine.kernel import loop
from onearm.engine.problem import state_problem
from onearm.engine.vocabulary import Player, Problem


class Nothing(NamedTuple):
    """No fields."""


class Inner(NamedTuple):
    """Fields whose places depend on those before them."""

    yes: bool
    no: bool
    share: float
    table: Any  # float64[2, 3]


class Outer(NamedTuple):
    """One of each."""

    flag: bool
    inner: Inner
    count: int
    small: Any  # float32[3]
    run: np.uint64
    empty: Nothing


@loop
def sums_of(bound: Bound[Outer], added: float) -> tuple[Any, ...]:
    """Return all that is bound, after adding to one array."""
    outer = opened(bound)
    outer.small[2] += added
    total = 0.0
    for row in range(outer.inner.table.shape[0]):
        for column in range(outer.inner.table.shape[1]):
            total = 10.0 * total + outer.inner.table[row, column]
    flags = outer.flag, outer.inner.yes, outer.inner.no
    return *flags, outer.inner.share, total, outer.count, outer.small[2], outer.run


@pytest.mark.jit
def test_compiled_code_reads_every_field_and_writes_the_arrays_themselves() -> None:
    table = np.arange(1.0, 13.0).reshape(2, 6)[:, ::2]  # its rows lie apart, and so do its columns
    outer = Outer(True, Inner(True, False, 0.25, table), -7, np.zeros(3, np.float32), np.uint64(2**64 - 5), Nothing())
    bound = Bound(outer)
    assert sums_of(bound, 1.5) == (True, True, False, 0.25, 135801.0, -7, 1.5, 2**64 - 5)
    assert sums_of(bound, 1.5)[6] == outer.small[2] == 3.0


@pytest.mark.parametrize("name", golden.names("arm"))
def test_params_and_states_of_policies_lie_as_numba_lays_them_out(name: str) -> None:
    policy = golden.specimen(name)
    problem = Problem(golden.N_ARMS, (policy.context_length_max or 0,), horizon=golden.STEPS)
    if golden.in_states(policy):
        problem = state_problem(golden.STATES, golden.N_ARMS)
    elif "dense" not in policy.contexts:
        problem = Problem(golden.N_ARMS, (golden.N_ARMS, 2), horizon=golden.STEPS)
    player = Player(policy.params, policy.init(policy.params, problem), run_key(0, 0, POLICY), np.zeros(0))
    context = cpu_target.target_context
    context.refresh()
    size = context.get_abi_sizeof(context.data_model_manager[typeof(player)].get_data_type())
    assert ctypes.sizeof(Bound(player)._memory) == size


def test_what_no_kernel_reads_is_refused() -> None:
    with pytest.raises(TypeError, match="and not 'a name'"):
        Bound(Inner(True, False, "a name", np.zeros(3)))  # type: ignore[arg-type]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda bound: pickle.loads(pickle.dumps(bound))])
def test_a_copy_is_written_down_at_an_address_of_its_own(copied: Any) -> None:
    """A deep copy kept the address of what it was copied from, read as the value: the process died of it."""
    bound = Bound(Inner(True, False, 0.5, np.arange(6.0).reshape(2, 3)))
    other = copied(bound)
    assert int(other) != int(bound)
    assert other.value.share == 0.5 and other.value.table.tolist() == [[0, 1, 2], [3, 4, 5]]
    place = other + 2 * 8 + 4 * 8  # behind two flags and a share; behind two addresses, a size and an item size
    assert ctypes.c_int64.from_address(place).value == other.value.table.ctypes.data
