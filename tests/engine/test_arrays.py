"""Aligned arrays begin with a line of the cache."""

from __future__ import annotations

import pytest

from onearm.engine.arrays import aligned_zeros


@pytest.mark.parametrize("shape", [(1,), (5, 3), (2, 33, 33)])
def test_aligned_zeros_begin_with_a_line_of_the_cache(shape: tuple[int, ...]) -> None:
    zeros = aligned_zeros(*shape)
    assert zeros.ctypes.data % 64 == 0
    assert zeros.shape == shape
    assert not zeros.any()
    assert zeros.flags.c_contiguous
