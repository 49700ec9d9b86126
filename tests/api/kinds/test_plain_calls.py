"""`decide` and `learn` with nothing but a context and a reward, beside the methods that answer all other calls."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from support.every_run import every_run

import onearm
from onearm.api.kinds.arms.engine import Engine
from onearm.engine.errors import OnearmError

ARMS = ["cat", "dog", "fox"]
PLAIN = {"decide": Engine.decide, "learn": Engine.learn}
FULL = {name: inspect.unwrap(method) for name, method in PLAIN.items()}
CASES = [("ucb1", 0), ("exp3_ix", 0), ("linucb", 2), ("squarecb", 2), ("epsilon_greedy", 2)]


def engine_of(policy: str, context: int, **more: Any) -> Any:
    return onearm.open(policy, ARMS, context=context, seed=3, **more)


def contexts_of(length: int, n: int) -> list[Any]:
    """Return contexts in all the forms that are read."""
    rows = np.random.default_rng(5).standard_normal((n, length))
    forms: list[Any] = [np.array, np.ndarray.tolist, tuple, np.float32, lambda row: row.astype(">f8"), np.asarray]
    forms += [lambda row: np.repeat(row, 2)[::2], lambda row: row[::-1]]
    return [forms[i % len(forms)](row) for i, row in enumerate(rows)] if length else [None, [], ()] * (n // 3)


@pytest.mark.parametrize(("policy", "length"), every_run(CASES, [("ucb1", 0), ("linucb", 2)]))
def test_the_plain_case_decides_and_learns_as_the_methods_before_which_it_stands(policy: str, length: int) -> None:
    """With rewards of all forms, late ones, and decisions that are given by their numbers."""
    engines = engine_of(policy, length, remember=4), engine_of(policy, length, remember=4)
    traces = []
    for engine, calls in zip(engines, (PLAIN, FULL), strict=True):
        trace, late = [], []
        for t, context in enumerate(contexts_of(length, 30)):
            made = calls["decide"](engine, context)
            trace.append((made, made._context.tolist(), made._available.tolist(), made._unit, made._time))
            reward = [0.5, 1, np.float64(-0.0), np.float32(0.25), np.int64(0)][t % 5]
            if t % 3 == 0:
                late.append((made, reward))
                continue
            calls["learn"](engine, made.number if t % 3 == 1 else made, reward)
        for each in late:  # most of them are forgotten by number
            calls["learn"](engine, *each)
        batch = engine.decide_many(len(ARMS) if not length else np.ones((2, length)))
        calls["learn"](engine, int(batch.number[0]), 1.0)
        traces.append((trace, engine.digest(), engine.number, engine.rewards, sorted(engine._pending.held)))
        assert not batch._waiting[0] and batch._waiting[1:].all()
    assert traces[0] == traces[1]


def test_what_a_decision_saw_is_a_copy_that_kernels_can_read() -> None:
    engine = engine_of("linucb", 2)
    for context in contexts_of(2, 16):
        wanted = np.array(context, float)
        seen = engine.decide(context)._context
        assert seen.tolist() == wanted.tolist() and type(seen) is np.ndarray
        assert seen.flags.c_contiguous and seen.flags.aligned and seen.dtype is np.dtype(float)
        assert not np.shares_memory(seen, context)


REFUSED: list[tuple[int, Any]] = [
    (0, lambda decide, _: decide({"country": "fr"})),
    (0, lambda decide, _: decide(np.zeros(2))),
    (0, lambda decide, _: decide("ab")),
    (2, lambda decide, _: decide({"country": "fr"})),
    (2, lambda decide, _: decide()),
    (2, lambda decide, _: decide(np.zeros((1, 2)))),
    (2, lambda decide, _: decide(np.zeros(3))),
    (2, lambda decide, _: decide(["a", 1.0])),
    (2, lambda decide, _: decide([0.0, float("nan")])),
    (2, lambda decide, _: decide(np.array([np.inf, 0.0]))),
    (0, lambda decide, _: decide(None, "cat")),
    (0, lambda decide, _: decide(None, ["cow"])),
    (0, lambda decide, _: decide(actions=[{"id": "a"}])),
    (0, lambda decide, _: decide(state="a")),
    (0, lambda decide, _: decide(begins=True)),
    (0, lambda decide, _: decide(unit_id="")),
    (0, lambda decide, _: decide(time="now")),
    (0, lambda decide, _: decide(colour="red")),
    (0, lambda decide, _: decide(None, None, None)),
    (0, lambda _, learn: learn(0, float("nan"))),
    (0, lambda _, learn: learn(0, np.float64(np.inf))),
    (0, lambda _, learn: learn(0, 2.0)),
    (0, lambda _, learn: learn(0, -1)),
    (0, lambda _, learn: learn(0, True)),
    (0, lambda _, learn: learn(0, "1")),
    (0, lambda _, learn: learn(0, None)),
    (0, lambda _, learn: learn(1, 1.0)),
    (0, lambda _, learn: learn("0", 1.0)),
    (0, lambda _, learn: learn(0, 1.0, 0.5)),
    (0, lambda _, learn: learn(0, 1.0, cost=0.5)),
    (0, lambda _, learn: learn(0, 1.0, ended=True)),
    (0, lambda _, learn: learn(0, 1.0, next_state="a")),
    (0, lambda _, learn: learn(0, 1.0, action_id="cow")),
    (0, lambda _, learn: learn(0, 1.0, propensity=2.0)),
    (0, lambda _, learn: learn(0, 1.0, None, None)),
    (0, lambda _, learn: learn(0, 1.0, colour="red")),
    (0, lambda _, learn: learn(onearm.open("ucb1", ARMS).decide(), 1.0)),
    (0, lambda _, learn: [learn(0, 1.0), learn(0, 1.0)]),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_is_refused_is_refused_in_the_same_words_and_nothing_is_changed(case: int) -> None:
    length, call = REFUSED[case]
    said = []
    for calls in (PLAIN, FULL):
        engine = engine_of("linucb", length, reward_range=(0.0, 1.0))
        engine.decide(np.zeros(length) if length else None)
        decide, learn = (method.__get__(engine) for method in calls.values())
        with pytest.raises((OnearmError, TypeError)) as caught:
            call(decide, learn)
        said.append((caught.type, str(caught.value), engine.digest(), engine.number, engine.rewards))
    assert said[0] == said[1]
    assert said[0][3] == 1


def test_people_see_every_argument() -> None:
    """`help` and `inspect` tell of the methods that have them, on the class and on an engine."""
    engine = onearm.open("ucb1", ARMS)
    for name, method in FULL.items():
        shown = inspect.signature(getattr(engine, name)).parameters
        assert list(shown) == list(inspect.signature(method).parameters)[1:]
        assert [one.kind for one in shown.values()].count(inspect.Parameter.KEYWORD_ONLY) >= 4
        assert inspect.getdoc(getattr(engine, name)) == inspect.getdoc(method)
        assert getattr(Engine, name).__qualname__ == f"Engine.{name}"
