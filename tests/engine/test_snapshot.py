"""A state as bytes: what goes in comes out, and what is not whole is refused."""

from __future__ import annotations

import json
import tracemalloc
from hashlib import sha256
from typing import Any, NamedTuple

import golden
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from support.every_run import every_run

from onearm.engine.errors import Damaged
from onearm.engine.simulation import Simulation
from onearm.engine.snapshot import MAGIC, PART, checked, digest, pack, parts, unpack
from onearm.engine.vocabulary import Array
from onearm.envs import catalog as envs


class InnerState(NamedTuple):
    weight: Array
    scratch_sum: Array


class OuterState(NamedTuple):
    count: Array
    mean: Array
    inner: InnerState
    scratch_law: Array
    flag: Array


class OtherState(NamedTuple):
    count: Array
    mean: Array
    inner: InnerState
    scratch_law: Array
    flag: Array


def state(k: int = 3) -> OuterState:
    """Return a state of several dtypes and ranks with scratch at both levels."""
    return OuterState(
        count=np.arange(k, dtype=np.int64),
        mean=np.array([np.nan, -0.0, np.inf, 1e-308, 0.1][:k]),
        inner=InnerState(np.arange(2.0 * k).reshape(2, k), np.ones(k)),
        scratch_law=np.full(k, 7.0),
        flag=np.array([True, False]),
    )


def blank(k: int = 3) -> OuterState:
    return OuterState(
        np.zeros(k, np.int64),
        np.zeros(k),
        InnerState(np.zeros((2, k)), np.zeros(k)),
        np.zeros(k),
        np.zeros(2, np.bool_),
    )


def test_a_state_comes_back_to_the_bit_but_for_its_scratch() -> None:
    like = blank()
    found = unpack(parts(state()), like=like)
    assert found is like
    assert found.count.tolist() == [0, 1, 2]
    assert found.mean.tobytes() == state().mean.tobytes()
    assert found.inner.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.flag.tolist() == [True, False]
    assert found.scratch_law.tolist() == found.inner.scratch_sum.tolist() == [0, 0, 0]


def test_the_layout_is_as_written_down() -> None:
    """Hand-worked: the magic, the header's length in 8 bytes, the header, the arrays one behind the other."""
    data = pack(InnerState(np.array([1.0, 2.0]), np.zeros(5)))
    header = b'{"class": "InnerState", "arrays": [["weight", "<f8", [2]]]}'
    numbers = bytes.fromhex("000000000000f03f0000000000000040")
    assert data == b"onearm state 1\n" + len(header).to_bytes(8, "little") + header + numbers


def test_big_endian_and_strided_arrays_are_stored_as_the_same_bytes() -> None:
    plain = InnerState(np.arange(4.0), np.zeros(1))
    strided = InnerState(np.arange(8.0)[::2] / 2.0, np.zeros(1))
    swapped = InnerState(np.arange(4.0).astype(">f8"), np.zeros(1))
    assert pack(strided) == pack(swapped) == pack(plain)


def test_scratch_is_neither_stored_nor_digested() -> None:
    changed = state()
    changed.scratch_law[:] = 1.0
    changed.inner.scratch_sum[:] = 5.0
    assert digest(changed) == digest(state())
    assert b"scratch" not in pack(state())
    changed.inner.weight[0, 0] = 9.0
    assert digest(changed) != digest(state())


def test_the_digest_is_that_of_the_bytes() -> None:
    assert digest(state()) == sha256(pack(state())).hexdigest()


def test_a_state_of_another_class_or_shape_is_refused() -> None:
    with pytest.raises(Damaged, match="not of a OtherState"):
        unpack(parts(state()), like=OtherState(*blank()))
    with pytest.raises(Damaged, match="not of a OuterState of this problem"):
        unpack(parts(state(3)), like=blank(4))
    other_type = blank()._replace(count=np.zeros(3))  # as many bytes, another dtype
    with pytest.raises(Damaged, match="not of a OuterState"):
        unpack(parts(state()), like=other_type)


def test_bytes_cut_short_anywhere_are_refused() -> None:
    data = pack(state())
    for cut in range(len(data)):
        with pytest.raises(Damaged) as caught:
            unpack([data[:cut]], like=blank())
        assert caught.value.code == "bad_snapshot"


def test_bytes_too_many_and_bytes_of_something_else_are_refused() -> None:
    for data in (pack(state()) + b"\0", b"", b"onearm state 2\n", b"x" * 500, MAGIC + b"\xff" * 8 + b"{}"):
        with pytest.raises(Damaged):
            unpack([data], like=blank())


@hypothesis.given(place=st.integers(0, len(pack(state())) - 1), value=st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_changes_the_digest(place: int, value: int) -> None:
    data = bytearray(pack(state()))
    data[place] ^= value
    assert sha256(bytes(data)).hexdigest() != digest(state())
    try:
        found = unpack([bytes(data)], like=blank())
    except Damaged:
        return
    assert json.dumps(_lists(found)) != json.dumps(_lists(unpack(parts(state()), like=blank())))


class TableState(NamedTuple):
    table: Array
    count: Array


def table_state(places: list[int], size: int = 150_001) -> TableState:
    """Return a state with an array of more than 1 MiB whose last block is short; its numbers at `places` are not 0."""
    state = TableState(np.zeros(size), np.arange(3))
    state.table[places] = [place + 0.5 for place in places]
    return state


def test_of_a_big_array_only_blocks_that_are_not_zero_are_stored() -> None:
    """Hand-worked: 150,001 numbers are 292 blocks of 512 and one of 497; used are the blocks 0, 1, 4 and 292."""
    state = table_state([3, 512, 1023, 2048, 150_000])
    data = pack(state)
    header = b'{"class": "TableState", "arrays": [["table", "<f8", [150001], "blocks"], ["count", "<i8", [3]]]}'
    runs = np.array([3, 0, 2, 4, 1, 292, 1], "<i8").tobytes()
    kept = np.concatenate([state.table[:1024], state.table[2048:2560], state.table[149_504:]]).tobytes()
    begin = b"onearm state 1\n" + len(header).to_bytes(8, "little") + header
    assert data == begin + runs + kept + np.arange(3).tobytes()
    assert digest(state) == sha256(data).hexdigest()


@hypothesis.given(places=st.lists(st.integers(0, 150_000), max_size=20), before=st.lists(st.integers(0, 150_000)))
def test_a_big_array_comes_back_whatever_was_there(places: list[int], before: list[int]) -> None:
    state = table_state(places)
    state.table[:1] = -0.0  # its bits are not zero
    found = unpack(parts(state), like=table_state(before))
    assert found.table.tobytes() == state.table.tobytes()
    strided = TableState(np.repeat(state.table, 2)[::2], state.count)
    assert pack(strided) == pack(state)
    like = TableState(np.ones(300_002)[::2], np.zeros(3, np.int64))
    assert unpack(parts(state), like=like).table.tobytes() == state.table.tobytes()


def test_big_arrays_that_are_empty_or_full_come_back() -> None:
    for table in (np.zeros(140_000), np.ones(140_000), np.ones(140_288, np.float32).repeat(2)):
        state = TableState(table, np.arange(3))
        found = unpack(parts(state), like=TableState(np.full_like(table, 7.0), np.zeros(3, np.int64)))
        assert found.table.tobytes() == table.tobytes()
        assert found.count.tolist() == [0, 1, 2]
    assert len(pack(TableState(np.zeros(10**7), np.arange(3)))) < 200


def test_the_parts_of_a_state_are_small_and_checked_after_the_last() -> None:
    """Neither writing nor reading a state of 16 MB takes a quarter of it."""
    state = TableState(np.arange(1.0, 2e6), np.arange(3))
    like = TableState(np.zeros(len(state.table)), np.zeros(3, np.int64))
    tracemalloc.start()
    sizes = [len(part) for part in parts(state)]
    unpack(checked(parts(state), digest(state)), like=like)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert like.table.tobytes() == state.table.tobytes()
    assert max(sizes) <= 2 * PART and min(sizes[:-1]) >= PART
    assert peak < 4_000_000
    with pytest.raises(Damaged, match="do not have the digest on record"):
        unpack(checked(parts(state), digest(like._replace(count=np.ones(3)))), like=like)


def test_damaged_runs_are_refused() -> None:
    data = pack(table_state([3, 2048, 150_000]))
    place = data.index(b"}") + 1
    for cut in (place, place + 4, place + 8, place + 30, place + 100, len(data) - 25, len(data) - 1):
        with pytest.raises(Damaged):
            unpack([data[:cut]], like=table_state([]))
    for numbers in ([2**62], [294], [1, -1, 1], [1, 293, 1], [1, 0, 294], [1, 0, -1], [2, 0, 1, 1, 1], [2, 4, 1, 0, 1]):
        with pytest.raises(Damaged):
            unpack([data[:place] + np.array(numbers, "<i8").tobytes() + data[place + 56 :]], like=table_state([]))


@pytest.mark.usefixtures("coarse_quadrature")
# test_conformance.py does so with a course of every policy.
@pytest.mark.parametrize(
    "name", every_run(golden.names("arm"), ["fourier_ucb", "half_visit", "sticky", "thompson_beta"])
)
def test_a_simulation_goes_on_from_the_bytes_of_its_state(name: str) -> None:
    """The bytes hold all that a policy knows: a run continued from them ends as the uninterrupted one."""
    policy = golden.specimen(name)
    env = envs.make("river_swim" if golden.in_states(policy) else "bernoulli")
    whole, first, second = (Simulation(policy, env, horizon=30, seed=9) for _ in range(3))
    whole.advance(30)
    first.advance(12)
    second.advance(12)
    for array in _arrays(second.state):
        array[...] = 0
    fresh = policy.init(policy.params, second.problem)
    for target, source in zip(_arrays(second.state), _arrays(fresh), strict=True):
        target[...] = source
    unpack(parts(first.state), like=second.state)
    second.advance(18)
    assert digest(second.state) == digest(whole.state)


def _arrays(value: Any) -> list[Array]:
    if isinstance(value, tuple):
        return [array for field in value for array in _arrays(field)]
    return [value]


def _lists(value: Any) -> Any:
    """Return the bits of every array; two states are the same where these are."""
    return [_lists(field) for field in value] if isinstance(value, tuple) else value.tobytes().hex()
