"""Engines in memory as bytes and pickles: they go on bit for bit; and what people see of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onearm
from onearm.engine.domain import simplex
from onearm.engine.errors import Damaged, InvalidInput, NotFound

pytestmark = pytest.mark.usefixtures("coarse_quadrature")


def play_arms(engine: Any, n: int) -> list[Any]:
    made = []
    for _ in range(n):
        decision = engine.decide()
        engine.learn(decision, reward=float(decision.action == 1))
        made.append((decision.number, decision.action_id, decision.propensity))
    return made


def play_contexts(engine: Any, n: int) -> list[Any]:
    made = []
    for step in range(n):
        decision = engine.decide([1.0, (step + engine.number) % 3])
        engine.learn(decision, reward=float(decision.action == 1))
        made.append((decision.number, decision.action_id, decision.propensity))
    return made


def play_named(engine: Any, n: int) -> list[Any]:
    made = []
    for _ in range(n):
        decision = engine.decide({"city": "Bern", "age": engine.number})
        engine.learn(decision, reward=float(decision.action == 0))
        made.append((decision.number, decision.action_id, decision.propensity))
    return made


def play_lists(engine: Any, n: int) -> list[Any]:
    made = []
    for _ in range(n):
        chosen = engine.decide()
        engine.learn(chosen, {slot: float(of.action == 2) for slot, of in chosen.slots.items()})
        made.append(chosen.action_ids)
    return made


def play_vectors(engine: Any, n: int) -> list[Any]:
    made = []
    for _ in range(n):
        decision = engine.decide()
        engine.learn(decision, gradient=[1.0, 0.5, 0.2])
        made.append(np.array(decision.point).tolist())
    return made


def play_queries(engine: Any, n: int) -> list[Any]:
    made = []
    for _ in range(n):
        query = engine.ask()
        engine.tell(query, answer=float(query.query == 1))
        made.append(query.query)
    return made


ENGINES: dict[str, tuple[Callable[[], Any], Callable[[Any, int], list[Any]]]] = {
    "arms": (lambda: onearm.open("thompson_beta", ["a", "b"], seed=3, reward_range=(0, 1)), play_arms),
    "default": (lambda: onearm.open(arms=["a", "b", "c"], seed=3), play_arms),
    "contexts": (lambda: onearm.open("linucb", 3, context=2), play_contexts),
    "named": (lambda: onearm.open("softmax", 2, context={"kind": "features"}, seed=5), play_named),
    "lists": (lambda: onearm.open("ucb1", 4, slots=2), play_lists),
    "vectors": (lambda: onearm.open(domain=simplex(3)), play_vectors),
    "queries": (lambda: onearm.open("uniform_budget", task=onearm.best_arm(3), horizon=40), play_queries),
}


@pytest.mark.parametrize("name", ENGINES)
def test_a_saved_engine_goes_on_bit_for_bit(name: str) -> None:
    make, play = ENGINES[name]
    engine = make()
    play(engine, 12)
    data, before = engine.save(), engine.number
    pickled, copied = pickle.dumps(engine), copy.deepcopy(engine)
    expected, digest = play(engine, 8), engine.digest()
    for again in (type(engine).load(data), pickle.loads(pickled), copied):
        assert type(again) is type(engine)
        assert again.number == before
        assert play(again, 8) == expected
        assert (again.digest(), again.number, again.rewards) == (digest, engine.number, engine.rewards)


def test_what_vectors_came_to_is_saved() -> None:
    engine = ENGINES["vectors"][0]()
    play_vectors(engine, 6)
    again = type(engine).load(engine.save())
    play_vectors(again, 1)
    play_vectors(engine, 1)
    assert engine.report().regret is not None
    assert (again.report(), again.certificate) == (engine.report(), engine.certificate)


def test_decisions_that_wait_are_not_saved_and_that_is_said() -> None:
    engine = onearm.open("ucb1", ["a", "b"])
    waiting = engine.decide()
    again = type(engine).load(engine.save())
    with pytest.raises(NotFound, match="before the engine was saved"):
        again.learn(waiting.number, 1.0)
    engine.learn(waiting, 1.0)


def test_bytes_that_are_no_engine_are_refused() -> None:
    engine = onearm.open("ucb1", ["a", "b"])
    data = engine.save()
    for broken in (data[:-1], data[:40] + bytes([data[40] ^ 1]) + data[41:], b""):
        with pytest.raises(Damaged, match="no saved engine"):
            type(engine).load(broken)
    with pytest.raises(InvalidInput, match="give the bytes"):
        type(engine).load("text")
    with pytest.raises(Damaged, match="the kind of problem is vector"):
        type(engine).load(onearm.open(domain=simplex(2)).save())


def test_an_engine_with_a_log_is_in_its_log(tmp_path: Path) -> None:
    with onearm.open("ucb1", 2, database=f"sqlite:///{tmp_path / 'log.db'}", experiment="e") as engine:
        with pytest.raises(InvalidInput, match="open its database again"):
            engine.save()
        with pytest.raises(InvalidInput, match="open its database again"):
            pickle.dumps(engine)


def test_an_engine_says_what_it_is() -> None:
    engine = onearm.open('epsilon_greedy:{"epsilon":0.2}', ["a", "b"])
    play_arms(engine, 2)
    assert repr(engine) == "Engine(policy='epsilon_greedy(epsilon=0.2)', decisions=2, rewards=2)"
