"""What every environment keeps to: a file in envs/ is tested without a line here.

One that needs params adds a line to WORLDS of support/environments.py. Streams of arms, whose answers depend on all
that was done, keep to test_move_policies.py.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.courses import Course, comparators
from support.environments import WORLDS, kind_of, names
from support.kinds import vectors

from onearm.engine import protocol
from onearm.engine.contexts import empty_context
from onearm.engine.domain import Domain
from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import problem_of
from onearm.engine.vocabulary import Array, Environment, Features, Instance, Key
from onearm.envs import catalog as envs


def world(name: str) -> Environment:
    return envs.make(name, **WORLDS.get(name, vectors.SMALLER.get(name, {})))


BY_KIND = {name: kind_of(name) for name in envs.names()}
ENVS = [name for name, kind in BY_KIND.items() if kind != "move"]
OF_ARMS = [name for name, kind in BY_KIND.items() if kind == "arm"]
OF_GRADIENTS = [name for name in names("vector") if world(name).problem.feedback in ("gradient", "losses")]
NEVER_RANDOM = {"adversarial", "heat_equation", "linear_systems", "logged_table", "river"}  # no draw answers
STILL = {"inventory"}  # by arm 0, which never orders: an empty stock stays empty
IN_HINDSIGHT = {"adversarial"}  # regret of one decision may be negative: the comparator is one arm
UNKNOWN = {"heat_equation", "linear_systems", "shifted_laplacian", "priced"}  # a solve for each arm; no one best arm


class Answer(NamedTuple):
    """What an environment shows, what is done, and what it says of that."""

    instance: Instance
    action: Any
    reward: float
    detail: list[float]
    delay: int
    regret: float


def walk(env: Environment, choose: Callable[[Instance], Any], steps: int, seed: int = 3) -> Iterator[Answer]:
    """Yield what happens in `steps` decisions."""
    problem, run = problem_of(env, steps), run_key(seed, 0, NATURE)
    state = env.init(env.params, problem, run)
    context, detail = empty_context(problem), np.zeros(problem.detail_length)
    available = np.ones(problem.n_choices, np.bool_)
    for t in range(steps):
        key = Key(run, t)
        protocol.observe(env.params, state, t, context, available, key)
        instance = Instance(t, copy.deepcopy(context), available.copy())
        action = choose(instance)
        reward, delay = protocol.respond(env.params, state, instance, action, detail, key)
        regret = protocol.regret(env.params, state, instance, action)
        yield Answer(instance, action, float(reward), detail.tolist(), delay, regret)


def chooser(env: Environment, arm: int = 0) -> Callable[[Instance], Any]:
    """Return what takes points in turn, or one arm, and the next one that is available where it is not."""
    domain, rng = env.problem.domain, np.random.default_rng(5)

    def choose(instance: Instance) -> Any:
        if domain is not None:
            return within(domain, rng)
        k = len(instance.available)
        return next(a % k for a in range(arm, arm + k) if instance.available[a % k])

    return choose


def within(domain: Domain, rng: np.random.Generator) -> Array:
    """Return a point well within a domain."""
    from_middle = comparators(domain, Course([], [(domain.start, rng.normal(size=domain.dimension))], None))[3]
    return domain.start + 0.5 * rng.random() * (from_middle - domain.start)


def numbers_of(context: Any) -> list[float]:
    """Return all numbers of a context."""
    if isinstance(context, Features):
        kept = slice(context.start[0], context.start[-1])
        return [*context.start.tolist(), *context.index[kept].tolist(), *context.value[kept].tolist()]
    return list(context.ravel().tolist())


@pytest.mark.parametrize("name", ENVS)
def test_an_environment_keeps_to_its_problem(name: str) -> None:
    env = world(name)
    for instance, action, reward, detail, delay, regret in walk(env, chooser(env, 1), 60):
        if isinstance(instance.context, Features):
            assert len(instance.context.start) == env.problem.n_arms + 2
            assert len(instance.context.index) == env.problem.nonzeros
        else:
            assert instance.context.shape == env.problem.context_shape
        assert np.isfinite([reward, *detail, *numbers_of(instance.context)]).all()
        assert env.problem.domain is not None or instance.available[action]
        assert len(detail) == env.problem.detail_length
        assert 0 <= delay <= env.delay_max
        assert math.isnan(regret) == (env.regret_kind is None or env.problem.task is not None)


@pytest.mark.parametrize("name", ENVS)
def test_an_environment_is_a_function_of_its_key(name: str) -> None:
    env = world(name)
    first, again, other = (
        [(*numbers_of(x.context), *x.available, *rest[1:4]) for x, *rest in walk(env, chooser(env), 60, seed)]
        for seed in (3, 3, 4)
    )
    assert again == first
    assert (other == first) == (name in NEVER_RANDOM | STILL)


@pytest.mark.parametrize("name", [name for name in OF_ARMS if name not in UNKNOWN])
def test_no_fixed_arm_has_less_than_no_regret(name: str) -> None:
    env = world(name)
    assert env.regret_kind is not None
    steps = min(env.problem.horizon or 100, 100)
    for arm in range(env.problem.n_arms):
        found = [answer.regret for answer in walk(env, chooser(env, arm), steps)]
        assert sum(found) >= -1e-9
        assert name in IN_HINDSIGHT or min(found) >= 0.0


@pytest.mark.parametrize("name", OF_GRADIENTS)
def test_the_detail_is_the_gradient_of_the_reward(name: str) -> None:
    env, step, rng, run = world(name), 1e-6, np.random.default_rng(6), run_key(2, 0, NATURE)
    domain, problem = env.problem.domain, problem_of(env, 12)
    assert domain is not None
    state, context, detail = env.init(env.params, problem, run), empty_context(problem), np.zeros(problem.detail_length)
    for t in range(12):
        key, available = Key(run, t), np.ones(1, np.bool_)
        protocol.observe(env.params, state, t, context, available, key)
        instance, point = Instance(t, context, available), within(domain, rng)

        def reward_at(x: Array, instance: Instance = instance, key: Key = key) -> float:
            spare, then = np.zeros_like(detail), copy.deepcopy(state)
            return float(protocol.respond(env.params, then, instance, x, spare, key)[0])

        ways = step * np.eye(domain.dimension)
        slopes = [(reward_at(point + way) - reward_at(point - way)) / (2.0 * step) for way in ways]
        reward, _ = protocol.respond(env.params, state, instance, point, detail, key)
        np.testing.assert_allclose(detail, slopes, rtol=1e-5, atol=1e-5)
        if env.problem.feedback == "losses":
            assert reward == pytest.approx(float(detail @ point), abs=1e-9)


@pytest.mark.parametrize("name", envs.names())
def test_an_environment_file_says_its_source_state_and_cost(name: str) -> None:
    text = sys.modules[envs.factory(name).__module__].__doc__ or ""
    assert [word for word in ("Source: ", "State: ", "Cost: ") if word not in text] == []
    assert inspect.getdoc(envs.factory(name))


@pytest.mark.parametrize("name", envs.names())
def test_params_that_an_environment_does_not_know_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="no param 'no_such_param'"):
        envs.make(name, no_such_param=1)


@pytest.mark.parametrize("name", envs.names())
def test_what_is_decided_in_an_environment_is_what_the_tests_take_it_for(name: str) -> None:
    assert world(name).problem.action_kind == BY_KIND[name]


@pytest.mark.parametrize("name", envs.names())
def test_an_environment_is_rebuilt_from_its_spec(name: str) -> None:
    env = world(name)
    again = envs.from_spec(json.loads(json.dumps(env.spec)))
    np.testing.assert_equal(again.params, env.params)
