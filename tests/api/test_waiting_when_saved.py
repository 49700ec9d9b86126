"""What waited when an engine was saved is told as such, however it is handed over."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import onearm
from onearm.engine.errors import NotFound

COPIES: list[Callable[[Any], Any]] = [
    lambda engine: type(engine).load(engine.save()),
    lambda engine: pickle.loads(pickle.dumps(engine)),
    copy.deepcopy,
]


@pytest.mark.parametrize("copied", COPIES, ids=["load", "pickle", "deepcopy"])
def test_decisions_from_before_are_told_as_such(copied: Callable[[Any], Any]) -> None:
    engine = onearm.open("ucb1", ["a", "b"])
    one, many = engine.decide(), engine.decide_many(2)
    again = copied(engine)
    for learn in (
        lambda: again.learn(one, 1.0),
        lambda: again.learn(0, 1.0),
        lambda: again.learn_many(many, [1.0, 0.0]),
    ):
        with pytest.raises(NotFound, match="was made before the engine was saved, which keeps none that wait"):
            learn()
    again.learn(again.decide(), 1.0)
    engine.learn(one, 1.0)
