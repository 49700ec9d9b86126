"""Engines of every kind with a log, played in step with the same ones in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onearm
from onearm.engine.domain import ball, simplex
from onearm.engine.task import thresholds

ARMS = ["a", "b", "c"]
FLOORS = {"floors": {"a": 0.2}}
PACED = {"name": "paced_budget", "params": {"policy": "squarecb", "cost": [0.1, 0.5, 0.9], "limit": 0.5}}
NAMED = {"context": {"kind": "features", "bits": 10}, "actions": {"max": 5}}


class Case(NamedTuple):
    """What is opened, and how it decides and learns; of randomness both engines get the same."""

    given: dict[str, Any]
    decide: Callable[[Any, random.Random], Any] = lambda engine, rng: engine.decide(eligible=eligible(rng))
    learn: Callable[[Any, Any, random.Random], None] = lambda engine, made, rng: engine.learn(made, rng.random())


def eligible(rng: random.Random) -> list[str] | None:
    return rng.sample(ARMS, rng.randint(1, 3)) if rng.random() < 0.4 else None


def of_names(engine: Any, rng: random.Random) -> Any:
    actions = [{"id": f"i{i}", "price": rng.random()} for i in range(rng.randint(1, 5))]
    return engine.decide({"user": {"age": rng.randrange(3)}}, actions=actions)


def of_rows(engine: Any, rng: random.Random) -> Any:
    actions = [{"id": f"i{i}", "features": [rng.random(), 1.0]} for i in range(rng.randint(2, 5))]
    return engine.decide(actions=actions, eligible=["i0", "i1"])


def with_gradient(engine: Any, made: Any, rng: random.Random) -> None:
    engine.learn(made, loss=rng.random(), gradient=[rng.random(), -rng.random()])


CASES: dict[str, Case] = {
    "ucb1": Case({"policy": "ucb1", "arms": ARMS}),
    "awaited": Case({"policy": 'ucb1:{"wait":5}', "arms": ARMS}),
    "default": Case({"arms": ARMS, "seed": 3}),
    "contexts": Case(
        {"policy": "linucb", "arms": ARMS, "context": 2},
        lambda engine, rng: engine.decide([rng.random(), 1.0], eligible(rng)),
    ),
    "listed": Case({"policy": 'linear_greedy:{"epsilon":0.3}', "actions": 2}, of_rows),
    "named": Case({"policy": 'linear_greedy:{"epsilon":0.3}', **NAMED}, of_names),
    "states": Case(
        {"arms": ARMS, "states": ["low", "high"]},
        lambda engine, rng: engine.decide(state=rng.choice(["low", "high"]), begins=rng.random() < 0.2),
        lambda engine, made, rng: engine.learn(made, rng.random(), next_state=rng.choice(["low", "high"])),
    ),
    "costs": Case(
        {"policy": PACED, "arms": ARMS, "feedback": "cost"},
        learn=lambda engine, made, rng: engine.learn(made, rng.random(), rng.choice([None, rng.random()])),
    ),
    "constraints": Case({"policy": "exp3_ix", "arms": ARMS, "constraints": FLOORS}),
    "sticky": Case(
        {"policy": {"name": "sticky", "params": {"policy": {"name": "exp3_ix", "params": {}}}}, "arms": ARMS},
        lambda engine, rng: engine.decide(unit_id=rng.choice("xyz"), time=rng.randrange(10**15)),
    ),
    "lists": Case(
        {"policy": 'linear_greedy:{"epsilon":0.5}', "arms": ARMS, "context": 1, "slots": {"max": 2, "length": 1}},
        lambda engine, rng: engine.decide(
            [{"id": "top", "features": [rng.random()]}, {"id": "side", "features": [1.0], "excluded_actions": ["b"]}],
            [rng.random()],
            unit_id=rng.choice(["u", None]),
        ),
        lambda engine, made, rng: engine.learn(made, {"side": rng.random(), "top": rng.random()}),
    ),
    "vector": Case(
        {"domain": ball(2)},
        lambda engine, rng: engine.decide(),
        with_gradient,
    ),
    "hints": Case(
        {"policy": 'optimistic_omd:{"hint":"context"}', "domain": simplex(2)},
        lambda engine, rng: engine.decide(hint=[rng.random(), 0.0]),
        with_gradient,
    ),
    "two points": Case(
        {
            "policy": 'point_gradient:{"policy":"optimistic_omd"}',
            "domain": ball(2),
            "feedback": "two_rewards",
            "horizon": 500,
        },
        lambda engine, rng: engine.decide(),
        lambda engine, made, rng: engine.learn(made, reward=[rng.random(), rng.random()]),
    ),
    "queries": Case(
        {"policy": "uniform_budget", "task": thresholds(4), "horizon": 1000},
        lambda engine, rng: engine.ask(open=["0", "1", rng.choice("23")]),
        lambda engine, made, rng: engine.tell(made, rng.choice([-1, 1])),
    ),
}


class Pair:
    """An engine in memory, and one with a log that is opened again and again."""

    def __init__(self, name: str, folder: Path, seed: int = 1, **options: Any) -> None:
        self.case = CASES[name]
        self.here = {"database": options.pop("database", f"sqlite:///{folder}/run.db"), "experiment": "e"}
        self.options = options
        self.memory: Any = onearm.open(**self.case.given)
        self.durable: Any = onearm.open(**self.case.given, **self.here, **options)
        self.random = random.Random(seed)
        self.waiting: list[tuple[Any, ...]] = []

    @property
    def engines(self) -> tuple[Any, Any]:
        return self.memory, self.durable

    def again(self, *, alone: bool = True) -> None:
        """Close it, and open it by its name alone or by what was given at first."""
        self.durable.close()
        self.durable = onearm.open(**({} if alone else self.case.given), **self.here, **self.options)

    def play(self, steps: int) -> None:
        """Decide, and learn some rewards late; all must be the same."""
        for _ in range(steps):
            made = self._both(self.case.decide)
            assert made[0] == made[1]
            self.waiting.append(made)
            while self.waiting and self.random.random() < 0.5:
                held = self.waiting.pop(self.random.randrange(len(self.waiting)))
                self._both(self.case.learn, held)

    def _both(self, do: Callable[..., Any], of: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        """Do the same with both engines, and return what comes of it."""
        seed = self.random.random()
        given = zip(self.engines, of or [None, None], strict=True)
        return tuple(do(engine, *([made] if of else []), random.Random(seed)) for engine, made in given)

    def assert_same(self) -> None:
        assert self.durable.digest() == self.memory.digest()
        assert (self.durable.number, self.durable.rewards) == (self.memory.number, self.memory.rewards)
