"""The fixed arm: it is played for sure, and where it is not available the next one is."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import probability
from onearm.engine.vocabulary import Instance, Key, Problem
from onearm.policies import catalog


@pytest.mark.parametrize(
    ("available", "expected"), [([1, 1, 1, 1], 2), ([1, 1, 0, 1], 3), ([0, 1, 0, 0], 1), ([1, 0, 0, 0], 0)]
)
def test_the_arm_or_the_next_one_that_is_available(available: list[int], expected: int) -> None:
    policy = catalog.make("fixed_arm", arm=2)
    at = Instance(0, np.zeros(0), np.array(available, np.bool_))
    state = policy.init(policy.params, Problem(4))
    assert tuple(loop.decide(policy.params, state, at, Key(np.uint64(1), 0))) == (expected, 1.0)
    assert [probability(policy.params, state, at, a) for a in range(4)] == [float(a == expected) for a in range(4)]


@pytest.mark.parametrize("arm", [-1, 1.5, True, "a"])
def test_what_is_no_number_of_an_arm_is_refused(arm: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        catalog.make("fixed_arm", arm=arm)
    assert refused.value.code == "bad_param"


def test_an_arm_that_is_not_there_is_refused() -> None:
    policy = catalog.make("fixed_arm", arm=4)
    with pytest.raises(InvalidInput, match="there are 4 arms"):
        policy.init(policy.params, Problem(4))
