"""Decisions that are awaited, against a list of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.laws.awaited import Awaited, Unawaited, awaited, check_wait, count_of, note, settle


@pytest.mark.parametrize("wait", [1, 2, 7, 50])
@pytest.mark.parametrize("seed", range(3))
def test_what_counts_is_what_a_list_says(wait: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ring = awaited(wait, 3)
    counting: dict[int, int] = {}
    number = 0
    for _ in range(300):
        number += int(rng.choice([1, 1, 1, 2, 40]))  # decisions of someone else take numbers, too
        action = int(rng.integers(3))
        note(ring, number, action)
        counting = {n: a for n, a in counting.items() if n > number - wait} | {number: action}
        if rng.random() < 0.6:
            answered = int(rng.integers(max(number - 2 * wait, 0), number + 1))
            assert settle(ring, answered) == (counting.pop(answered, None) is not None)
        assert [count_of(ring, a) for a in range(3)] == [list(counting.values()).count(a) for a in range(3)]


def test_where_nothing_counts_there_is_nothing() -> None:
    ring = awaited(0, 3)
    assert isinstance(ring, Unawaited)
    assert len(ring) == 0
    note(ring, 0, 1)
    assert count_of(ring, 1) == 0
    assert not settle(ring, 0)
    assert isinstance(awaited(1, 3), Awaited)


@pytest.mark.parametrize("wait", [-1, 1.5, True, "5", None, 100_001])
def test_a_wait_is_a_whole_number(wait: Any) -> None:
    with pytest.raises(InvalidInput, match="wait is"):
        check_wait(wait)
