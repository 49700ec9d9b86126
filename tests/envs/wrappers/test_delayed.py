"""Delayed: the world inside is untouched, and rewards come when they are due."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import geom

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import LEARN, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
INNER = {"name": "classification", "params": {"dataset": "iris"}}


def answers(env: Environment, steps: int, arm: int = 1) -> list[tuple[Any, ...]]:
    """Return context, reward, delay and regret of each decision."""
    state = env.init(env.params, env.problem, RUN)
    context, available = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_)
    found = []
    for t in range(steps):
        observe(env.params, state, t, context, available, Key(RUN, t))
        instance = Instance(t, context, available)
        reward, delay = respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t))
        found.append((*context, reward, delay, regret(env.params, state, instance, arm)))
    return found


@pytest.mark.parametrize("law", ["fixed", "geometric"])
def test_all_but_the_delay_is_the_environment_inside(law: str) -> None:
    inner = catalog.from_spec(INNER)
    env = catalog.make("delayed", env=INNER, delay=5, law=law)
    assert (env.problem, env.regret_kind) == (inner.problem, inner.regret_kind)
    inside, outside = answers(inner, 100), answers(env, 100)
    assert [row[:-2] + row[-1:] for row in outside] == [row[:-2] + row[-1:] for row in inside]
    delays = [row[-2] for row in outside]
    assert max(delays) <= env.delay_max == (5 if law == "fixed" else 50)
    assert (set(delays) == {5}) == (law == "fixed")


def test_geometric_delays_have_their_law() -> None:
    env = catalog.make("delayed", env={"name": "bernoulli", "params": {"mean": [0.5]}}, delay=2, law="geometric")
    delays = np.array([row[-2] for row in answers(env, 2000, arm=0)])
    for n in range(6):
        expected = geom.pmf(n + 1, 1 / 3)
        assert abs((delays == n).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / 2000)
    assert abs(delays.mean() - 2) < 4 * np.sqrt(6 / 2000)


def test_the_delay_does_not_depend_on_the_reward() -> None:
    env = catalog.make("delayed", env={"name": "bernoulli", "params": {"mean": [0.5]}}, delay=4, law="geometric")
    found = np.array([row[-3:-1] for row in answers(env, 2000, arm=0)])
    assert abs(np.corrcoef(found.T)[0, 1]) < 4 / np.sqrt(2000)


def test_a_reward_is_learned_after_the_decision_that_it_is_due_at() -> None:
    env = catalog.make("delayed", env={"name": "bernoulli", "params": {"mean": [0.2, 0.8]}}, delay=3)
    log = Simulation(policies.make("ucb1"), env, horizon=12, seed=1).advance_logged(12)
    learned = np.flatnonzero(log.kind == LEARN)
    assert log.number[learned].tolist() == list(range(9))
    assert log.number[learned - 1].tolist() == list(range(3, 12))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"delay": 0}, "delay is 0"),
        ({"delay": 1.5}, "delay is 1.5"),
        ({"law": "uniform"}, "fixed, geometric"),
        ({"env": {"name": "delayed", "params": {"env": INNER}}}, "delayed already"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("delayed", **({"env": INNER} | params))
