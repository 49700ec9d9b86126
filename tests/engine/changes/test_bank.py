"""States of one policy for several worlds: how one begins anew, and what is kept of those that have not begun."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from support.compiled import compiled

from onearm.engine import snapshot
from onearm.engine.changes.bank import MODELS, Bank, bank, copy_model, fresh, renew, renew_arm
from onearm.engine.compiled.layout import kept_arrays
from onearm.engine.protocol import row_of
from onearm.engine.vocabulary import Array

ARMS = 3


class Inner(NamedTuple):
    mean: Array  # the same for each arm
    rank: Array  # another for each
    scratch_law: Array


class Outer(NamedTuple):
    inner: Inner
    total: Array
    played: Array
    nothing: Array
    square: Array


def new() -> Outer:
    inner = Inner(np.full((ARMS, 2), 0.5), np.arange(ARMS), np.full(ARMS, 7.0))
    return Outer(inner, np.zeros(1), np.zeros(ARMS, np.bool_), np.zeros((0, 4)), np.zeros((ARMS, 5), np.float32))


PER_ARM = np.array([True, True, False, True, False, True])


def filled() -> Bank:
    """Return a bank of which every model knows something else."""
    some = bank(new())
    some.used[0] = MODELS
    for model in range(MODELS):
        for i, array in enumerate(kept_arrays(row_of(some.rows, model))):
            array[...] = (np.arange(array.size).reshape(array.shape) + i + 10 * model) % 97
    return some


def kept(some: Bank, model: int) -> list[Any]:
    return [array.copy() for array in kept_arrays(row_of(some.rows, model))]


def check_renewed(renew: Any, renew_arm: Any, copy_model: Any) -> None:
    some, before = filled(), fresh(new(), PER_ARM)
    others = [kept(some, model) for model in (0, 1, 3)]
    renew(some, before, 2)
    np.testing.assert_equal(kept(some, 2), [array.copy() for array in kept_arrays(new())])
    np.testing.assert_equal([kept(some, model) for model in (0, 1, 3)], others)
    copy_model(some, before, 2, 1)
    np.testing.assert_equal(kept(some, 2), kept(some, 1))
    renew_arm(some, before, 2, 1)
    expected = kept(some, 1)
    for array, begun, row in zip(expected, kept_arrays(new()), PER_ARM, strict=True):
        if row:
            array[1:2] = begun[1:2]
    np.testing.assert_equal(kept(some, 2), expected)
    np.testing.assert_equal([kept(some, model) for model in (0, 1, 3)], others)
    np.testing.assert_equal(some.rows.inner.scratch_law, np.full((MODELS, ARMS), 7.0))


def test_a_model_begins_anew_as_a_whole_or_with_one_arm_and_the_others_stay() -> None:
    check_renewed(renew, renew_arm, copy_model)


@pytest.mark.jit
def test_so_it_does_compiled() -> None:
    check_renewed(compiled(renew), compiled(renew_arm), compiled(copy_model))


def test_of_arrays_that_begin_alike_for_all_arms_one_row_is_kept() -> None:
    before = fresh(new(), PER_ARM)
    assert before.length.tolist() == [16, 24, 8, 1, 0, 20]
    assert before.per_arm.tolist() == [16, 8, 0, 1, 0, 20]
    assert before.content.nbytes == 16 + 24 + 8 + 1 + 20


def test_zeros_of_two_signs_are_not_alike() -> None:
    signs = new()._replace(square=np.array([[0.0], [-0.0], [0.0]]))
    assert fresh(signs, PER_ARM).length[-1] == 24


def test_a_snapshot_holds_the_models_that_have_begun_and_their_number() -> None:
    some = filled()
    for used, model in ((1, 0), (3, 2)):
        some.used[0] = used
        packed = snapshot.pack(some)
        again = snapshot.unpack([packed], like=bank(new()))
        assert again.used[0] == used
        np.testing.assert_equal(kept(again, model), kept(some, model))
        assert not any(array[used:].any() for array in kept_arrays(again.rows))
        assert snapshot.digest(again) == snapshot.digest(some)
    some.used[0] = 1
    assert len(packed) - len(snapshot.pack(some)) == 2 * sum(array.nbytes for array in kept_arrays(new()))


def test_the_models_that_have_begun_are_counted_and_copied() -> None:
    some = filled()
    one = sum(array.nbytes for array in kept_arrays(new()))
    for used in (1, 3):
        some.used[0] = used
        assert snapshot.size(some) == 8 + used * one + some.rows.inner.scratch_law.nbytes
        copy = snapshot.copied(some)
        assert snapshot.digest(copy) == snapshot.digest(some)
        assert not any(array[used:].any() for array in kept_arrays(copy.rows))
        np.testing.assert_equal(copy.rows.inner.scratch_law, some.rows.inner.scratch_law)
        copy.rows.total[:] = -1.0
        assert some.rows.total[0, 0] != -1.0


def test_a_big_array_is_stored_in_blocks_of_the_models_that_have_begun() -> None:
    wide = new()._replace(total=np.zeros(snapshot.BIG // 8))
    some = bank(wide)
    some.used[0] = 2
    some.rows.total[1, 5] = 3.0
    again = snapshot.unpack(snapshot.parts(some), like=bank(wide))
    assert (again.rows.total[1, 5], again.rows.total.sum()) == (3.0, 3.0)
    assert len(snapshot.pack(some)) < 3 * snapshot.BLOCK
