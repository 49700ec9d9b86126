"""What can be told of a pull, and what is refused and changes nothing."""

from __future__ import annotations

import gc
import math
from typing import Any

import numpy as np
import pytest
from support.stream_rules import fixed, judged

from onearm.api.arms_once import Stream
from onearm.engine.errors import Conflict, InvalidInput


@pytest.mark.parametrize(
    ("total", "n", "message"),
    [
        (4.0, 9, "9 pulls were done: it must be 0 to 8"),
        (4.0, -1, "-1 pulls were done"),
        (4.0, 8.0, "the pulls done are 8.0: it must be a whole number"),
        (4.0, True, "the pulls done are True"),
        (4.0, None, "the pulls done are None"),
        (math.nan, 8, "8 rewards add up to nan"),
        (math.inf, 8, r"each lies in \[0, 1\], so it must be 0 to 8"),
        (8.1, 8, "8 rewards add up to 8.1"),
        (-0.1, 8, "8 rewards add up to -0.1"),
        (0.5, 0, "0 rewards add up to 0.5"),
        (10**400, 8, "8 rewards add up to inf"),
        ("4", 8, "the sum of rewards is '4': it must be a number"),
        (True, 8, "the sum of rewards is True"),
        (None, 8, "the sum of rewards is None"),
    ],
)
def test_what_cannot_have_been_pulled_is_refused_and_changes_nothing(total: Any, n: Any, message: str) -> None:
    asked = judged()
    before = asked.save()
    with pytest.raises(InvalidInput, match=message):
        asked.tell("second", total, n)
    with pytest.raises(InvalidInput, match=message):
        asked.run([], lambda arm, pulls: (total, n))
    assert asked.save() == before
    assert asked.ask() == ("second", 8)


def test_what_can_have_been_pulled_is_learned() -> None:
    """NumPy's numbers, sums that were rounded, and fewer pulls than were asked."""
    asked = judged()
    asked.tell("second", np.float32(1.5), np.int64(3))
    assert asked.ask() == ("second", 8)
    asked.tell("second", 8.000000000001, 8)
    assert asked.handles == {0: "first", 1: "second"}
    assert asked.status().trials_used == 334 + 11


def test_a_coroutine_is_no_pull() -> None:
    """And it is closed, as Python would warn that it was never awaited."""

    async def later(arm: str, n: int) -> tuple[float, int]:
        return 0.5 * n, n

    asked = judged()
    with pytest.raises(InvalidInput, match=r"pull returned <coroutine .*ask what to pull and tell what it gave"):
        asked.run([], later)  # type: ignore[arg-type]
    gc.collect()
    assert asked.ask() == ("second", 8)


def test_what_is_no_iterable_or_no_function_is_refused() -> None:
    asked = judged()
    with pytest.raises(InvalidInput, match="stream is 3: it must be arms to iterate over, as a list"):
        asked.run(3, fixed)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="pull is None: it must be a function"):
        asked.run([], None)  # type: ignore[arg-type]
    asked.tell("second", 0.0, 8)


@pytest.mark.parametrize("answer", [None, 3.0, (1.0,), (1.0, 2, 3), object()])
def test_a_pull_that_returns_something_else_is_refused(answer: Any) -> None:
    asked = judged()
    with pytest.raises(InvalidInput, match="it must return the sum of rewards, and pulls done"):
        asked.run([], lambda arm, n: answer)
    assert asked.ask() == ("second", 8)


def test_only_what_was_asked_can_be_told() -> None:
    asked = Stream(trials=8000, arms=8)
    with pytest.raises(Conflict, match="nothing was asked about 'first'"):
        asked.tell("first", 1.0, 1)
    asked = judged(first=1.0)
    with pytest.raises(
        Conflict, match="'first' was pulled, but something else was asked; tell about 'second', up to 8"
    ):
        asked.tell("first", 1.0, 1)
    asked.tell("second", 0.0, 8)
    assert asked.handles == {0: "first"}
    asked.offer("third")
    with pytest.raises(Conflict, match="'second' was pulled, but it is not held: it was let go, or never came"):
        asked.tell("second", 1.0, 1)
