"""What every policy and every environment keeps to: a file in policies/ or envs/ is tested without a line here.

Policies that decide on moves, and the environments of streams, keep to test_stream_conformance.py as well.

A policy with required params adds a line to SPECIMENS of golden.py, an environment to WORLDS here.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import golden
import numpy as np
import pytest
from numba import njit
from support.environments import WORLDS
from support.quadratures import BY_QUADRATURE, fewer

from onearm.engine import loop, protocol, snapshot
from onearm.engine.columns import empty, take
from onearm.engine.contexts import empty_context, put_context
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.features import VALUE_MAX, Encoder
from onearm.engine.problem import REWARD_MAX
from onearm.engine.protocol import probability, select
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import (
    DECIDE,
    LEARN,
    Array,
    Decision,
    Environment,
    Features,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
)
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

pytestmark = pytest.mark.usefixtures("few_cosines")
POLICIES = golden.names("arm")
RUN = run_key(20, 0, POLICY)
NO_DETAIL = np.zeros(0)
MEANS = [0.3, 0.7, 0.1, 0.5]

# Params for environments that cannot be built without.
ENVS = [name for name in envs.names() if envs.make(name, **WORLDS.get(name, {})).problem.action_kind == "arm"]
NEVER_RANDOM = {"adversarial", "heat_equation", "linear_systems", "logged_table"}  # they answer without a draw
# A policy that needs a home of its own adds a line; these must earn more than uniform there.
HOME = "bernoulli", {"mean": [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8]}
MIDDLE = "bernoulli", {"mean": [0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.7, 0.4, 0.3, 0.2]}
HOMES: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed_omega": ("bernoulli", {"mean": [0.8, 0.7, 0.6, 0.2, 0.1]}),  # at home where the first arm is best
    "young": MIDDLE,  # without a context it takes arm 5 of 10
}
DRAWS = 1_000_000
DRAWS_OF_SLOW = dict.fromkeys(BY_QUADRATURE, 20_000)
IN_HINDSIGHT = {"adversarial"}  # regret of one decision may be negative: the comparator is one arm
UNKNOWN = {"heat_equation", "linear_systems", "shifted_laplacian"}  # regret would be a solve for each arm


class Course(NamedTuple):
    """A policy in the middle of a run."""

    policy: Policy
    problem: Problem
    state: Any


def contexts_of(name: str) -> list[str]:
    """Return the kinds of contexts that a policy reads; all that read dense ones can do without."""
    kinds = golden.specimen(name).contexts
    return [*(("none",) if "dense" in kinds else ()), *kinds]


def problem_of(policy: Policy, kind: str, n_arms: int) -> Problem:
    length = 3 if policy.context_length_max is None else min(3, policy.context_length_max)
    shapes = {"none": (0,), "dense": (length,), "actions": (n_arms, 3), "named": (n_arms, 256)}
    return Problem(n_arms, shapes[kind], horizon=1000, nonzeros=100 if kind == "named" else None)


def start(name: str, n_arms: int = len(MEANS), steps: int = 0, kind: str = "") -> Course:
    """Return a policy after `steps` decisions with masks, each learned at once; contexts are the first it reads."""
    policy = golden.specimen(name)
    problem = problem_of(policy, kind or contexts_of(name)[0], n_arms)
    course = Course(policy, problem, policy.init(policy.params, problem))
    for instance in instances(problem, 0, steps):
        learn(course, instance, decide(course, instance))
    return course


def instances(problem: Problem, first: int, stop: int) -> Iterator[Instance]:
    """Yield decisions `first` to `stop`, each with a mask of its own: one to all arms."""
    for t in range(first, stop):
        rng = np.random.default_rng([5, t])
        available = rng.random(problem.n_arms) < rng.choice([0.3, 0.7, 1.0])
        available[rng.integers(problem.n_arms)] = True
        yield Instance(t, context(problem, t), available)


def context(problem: Problem, t: int) -> Any:
    rng = np.random.default_rng([7, t])
    if problem.context_kind == "named":
        shared = {"x": rng.normal(size=2).tolist(), "city": str(rng.integers(3))}
        return Encoder(bits=8).encode(shared, [{"id": str(a), "price": rng.random()} for a in range(problem.n_arms)])
    return rng.normal(size=problem.context_shape)


def decide(course: Course, instance: Instance) -> Decision:
    return Decision(*loop.decide(course.policy.params, course.state, instance, Key(RUN, instance.t)))


def learn(course: Course, instance: Instance, decision: Decision, reward: float | None = None) -> None:
    if reward is None:
        reward = float(np.random.default_rng([6, instance.t]).random() < MEANS[decision.action])
    loop.learn(
        course.policy.params, course.state, instance, decision, Feedback(reward, NO_DETAIL), Key(RUN, instance.t)
    )


def law_of(course: Course, instance: Instance) -> Array:
    """Return the probability of every arm."""
    arms = range(course.problem.n_arms)
    return np.array([probability(course.policy.params, course.state, instance, a) for a in arms])


COURSES = [(name, kind) for name in POLICIES for kind in contexts_of(name)]
STEPS = {"none": 60, "dense": 30, "actions": 30, "named": 30}


def steps_of(name: str, kind: str) -> int:
    return fewer(name, STEPS[kind])


@pytest.mark.parametrize(("name", "kind"), COURSES)
def test_actions_are_available_and_propensities_are_the_law(name: str, kind: str) -> None:
    course = start(name, kind=kind)
    for instance in instances(course.problem, 0, steps_of(name, kind)):
        decision = decide(course, instance)
        assert instance.available[decision.action]
        law = law_of(course, instance)
        if math.isnan(decision.propensity):
            assert np.isnan(law).all()
        else:
            assert 0.0 < decision.propensity <= 1.0
            assert decision.propensity == law[decision.action]
            assert law.sum() == pytest.approx(1.0, abs=1e-12)
            assert (law[~instance.available] == 0.0).all()
        learn(course, instance, decision)


@pytest.mark.parametrize(("name", "kind"), COURSES)
def test_deciding_only_reads_and_repeats_itself(name: str, kind: str) -> None:
    course = start(name, steps=steps_of(name, kind) // 3, kind=kind)
    before = snapshot.digest(course.state)
    for instance in instances(course.problem, 20, 40):
        first = decide(course, instance)
        law_of(course, instance)
        np.testing.assert_equal(tuple(decide(course, instance)), tuple(first))
    assert snapshot.digest(course.state) == before


@pytest.mark.parametrize(("name", "kind"), COURSES)
def test_a_run_goes_on_from_its_snapshot_to_the_same_bits(name: str, kind: str) -> None:
    course = start(name, steps=steps_of(name, kind) // 3, kind=kind)
    fresh = course.policy.init(course.policy.params, course.problem)
    restored = course._replace(state=snapshot.unpack(snapshot.parts(course.state), like=fresh))
    for instance in instances(course.problem, 20, 40):
        made = [decide(each, instance) for each in (course, restored)]
        np.testing.assert_equal(tuple(made[0]), tuple(made[1]))
        learn(course, instance, made[0])
        learn(restored, instance, made[1])
    assert snapshot.digest(restored.state) == snapshot.digest(course.state)


@pytest.mark.parametrize(("name", "kind"), COURSES)
def test_a_single_arm_is_taken_for_sure(name: str, kind: str) -> None:
    alone = start(name, n_arms=1, kind=kind)
    several = start(name, steps=10, kind=kind)
    for t in range(10, 14):
        only = np.arange(len(MEANS)) == t % len(MEANS)
        for course, available, arm in ((alone, np.ones(1, np.bool_), 0), (several, only, t % len(MEANS))):
            instance = Instance(t, context(course.problem, t), available)
            decision = decide(course, instance)
            assert decision.action == arm
            assert math.isnan(decision.propensity) or decision.propensity == pytest.approx(1.0, abs=1e-12)
            learn(course, instance, decision)


@pytest.mark.parametrize(("name", "kind"), COURSES)
def test_late_and_shuffled_feedback_is_a_fold_of_the_log(name: str, kind: str) -> None:
    course = start(name, kind=kind)
    rng = np.random.default_rng(7)
    log = empty(200, course.problem)
    log = log._replace(available=np.ones((200, len(MEANS)), np.bool_))
    row = 0
    waiting: list[tuple[Instance, Decision]] = []
    for instance in instances(course.problem, 0, steps_of(name, kind)):
        waiting.append((instance, decide(course, instance)))
        events = [(DECIDE, *waiting[-1], math.nan)]
        while len(waiting) > 8:
            then, decision = waiting.pop(rng.integers(len(waiting)))
            events.append((LEARN, then, decision, float(rng.random())))
        for kind, then, decision, reward in events:
            log.kind[row], log.number[row], log.reward[row] = kind, then.t, reward
            log.action[row], log.propensity[row] = decision
            put_context(log.context, row, then.context)
            log.available[row] = then.available
            row += 1
            if kind == LEARN:
                learn(course, then, decision, reward)
    log = take(log, slice(0, row))
    again = course.policy.init(course.policy.params, course.problem)
    assert loop.replay(course.policy.params, again, RUN, log) == -1
    assert snapshot.digest(again) == snapshot.digest(course.state)


@pytest.mark.parametrize(("name", "kind"), COURSES)
@pytest.mark.parametrize("size", [1e-300, 1.0, 1e307])
@pytest.mark.parametrize("reward", [-1e9, REWARD_MAX])
@np.errstate(over="ignore", invalid="ignore")  # a score may be anything; no state and no law
def test_wild_rewards_and_features_leave_a_law(name: str, kind: str, size: float, reward: float) -> None:
    course = start(name, kind=kind)
    for instance in instances(course.problem, 0, 12):
        if instance.t % 3 == 1:
            scale(instance.context, size)
        decision = decide(course, instance)
        assert instance.available[decision.action]
        learn(course, instance, decision, reward if instance.t % 3 == 1 else None)
        law = law_of(course, instance)
        assert np.isnan(law).all() or law.sum() == pytest.approx(1.0, abs=1e-9)
    assert not any(np.isnan(array).any() for array in kept(course.state))


def kept(state: Any) -> Iterator[Array]:
    """Yield the arrays that a snapshot would hold."""
    for name, field in zip(state._fields, state, strict=True):
        if isinstance(field, tuple):
            yield from kept(field)
        elif not name.startswith("scratch_"):
            yield field


def scale(context: Any, size: float) -> None:
    """Multiply every feature in place, as far as the door lets features grow."""
    if isinstance(context, Features):
        context.value[:] *= min(size, VALUE_MAX / 10.0)
    else:
        context *= size


@pytest.mark.parametrize("name", policies.names())
def test_a_policy_file_says_its_source_state_and_cost(name: str) -> None:
    _says_source_state_and_cost(policies.factory(name))


@pytest.mark.parametrize("name", envs.names())
def test_an_environment_file_says_its_source_state_and_cost(name: str) -> None:
    _says_source_state_and_cost(envs.factory(name))


def _says_source_state_and_cost(factory: Any) -> None:
    text = sys.modules[factory.__module__].__doc__ or ""
    assert [word for word in ("Source: ", "State: ", "Cost: ") if word not in text] == []
    assert inspect.getdoc(factory)


@pytest.mark.parametrize(
    ("catalog", "name"), [(policies, n) for n in policies.names()] + [(envs, n) for n in envs.names()]
)
def test_unknown_params_are_refused_by_name(catalog: Any, name: str) -> None:
    with pytest.raises(InvalidInput, match="no param 'no_such_param'"):
        catalog.make(name, no_such_param=1)


@pytest.mark.parametrize("name", policies.names())
def test_a_policy_is_rebuilt_from_its_spec(name: str) -> None:
    policy = golden.specimen(name)
    again = policies.from_spec(json.loads(json.dumps(policy.spec)))
    assert again.name == name
    np.testing.assert_equal(_plain(again.params), _plain(policy.params))


@pytest.mark.jit
@pytest.mark.parametrize("name", [name for name in POLICIES if name != "uniform"])
def test_a_policy_earns_more_than_uniform_at_home(name: str) -> None:
    world, params = HOMES.get(name, HOME)
    earned = [
        simulate(policy, envs.make(world, **params), horizon=2000, replications=4, seed=1).reward[:, -1].mean()
        for policy in (golden.specimen(name), golden.specimen("uniform"))
    ]
    assert earned[0] > 1.2 * earned[1]


@njit(error_model="numpy")  # type: ignore[misc]
def count_actions(params: Any, state: Any, instance: Instance, run: np.uint64, counts: Array, draws: int) -> None:
    """Count which arm is drawn at times 0 to `draws`, all with one state."""
    for t in range(draws):
        counts[select(params, state, instance, Key(run, t)).action] += 1


@pytest.mark.jit
@pytest.mark.parametrize("name", POLICIES)
def test_frequencies_are_the_law(name: str) -> None:
    course = start(name, steps=40)
    instance = Instance(40, context(course.problem, 40), np.array([True, True, False, True]))
    counts = np.zeros(len(MEANS), np.int64)
    draws = DRAWS_OF_SLOW.get(name, DRAWS)
    count_actions(course.policy.params, course.state, instance, RUN, counts, draws)
    law = law_of(course, instance)
    assert not np.isnan(law).any(), "a policy's specimen knows its law"
    assert (np.abs(counts / draws - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws)).all()


def world(name: str) -> Environment:
    return envs.make(name, **WORLDS.get(name, {}))


def fixed_arm(arm: int) -> Any:
    """Return what takes `arm`, or the next one that is available."""

    def choose(available: Array) -> int:
        k = len(available)
        return next(a % k for a in range(arm, arm + k) if available[a % k])

    return choose


def walk(env: Environment, choose: Any, steps: int, seed: int = 3) -> Iterator[tuple[Instance, int, float, int, float]]:
    """Yield instance, action, reward, delay and regret of `steps` decisions."""
    run = run_key(seed, 0, 1)
    state = env.init(env.params, env.problem, run)
    context = empty_context(env.problem)
    available = np.ones(env.problem.n_arms, np.bool_)
    for t in range(steps):
        key = Key(run, t)
        protocol.observe(env.params, state, t, context, available, key)
        instance = Instance(t, copy.deepcopy(context), available.copy())
        action = choose(available)
        reward, delay = protocol.respond(env.params, state, instance, action, NO_DETAIL, key)
        yield instance, action, reward, delay, protocol.regret(env.params, state, instance, action)


def numbers_of(context: Any) -> list[float]:
    """Return all numbers of a context."""
    if isinstance(context, Features):
        kept = slice(context.start[0], context.start[-1])
        return [*context.start.tolist(), *context.index[kept].tolist(), *context.value[kept].tolist()]
    return list(context.ravel().tolist())


@pytest.mark.parametrize("name", ENVS)
def test_an_environment_keeps_to_its_problem(name: str) -> None:
    env = world(name)
    for instance, action, reward, delay, regret in walk(env, fixed_arm(1), 60):
        if isinstance(instance.context, Features):
            assert len(instance.context.start) == env.problem.n_arms + 2
            assert len(instance.context.index) == env.problem.nonzeros
        else:
            assert instance.context.shape == env.problem.context_shape
        assert np.isfinite(numbers_of(instance.context)).all()
        assert instance.available[action]
        assert math.isfinite(reward)
        assert 0 <= delay <= env.delay_max
        assert math.isnan(regret) == (env.regret_kind is None)


@pytest.mark.parametrize("name", ENVS)
def test_an_environment_is_a_function_of_its_key(name: str) -> None:
    env = world(name)
    first, again, other = (
        [(*numbers_of(x.context), *x.available, *rest[:3]) for x, *rest in walk(env, one, 60, seed)]
        for one, seed in ((fixed_arm(0), 3), (fixed_arm(0), 3), (fixed_arm(0), 4))
    )
    assert again == first
    assert (other == first) == (name in NEVER_RANDOM)


@pytest.mark.parametrize("name", [name for name in ENVS if name not in UNKNOWN])
def test_no_fixed_arm_has_less_than_no_regret(name: str) -> None:
    env = world(name)
    assert env.regret_kind is not None
    steps = min(env.problem.horizon or 100, 100)
    for arm in range(env.problem.n_arms):
        found = [regret for *_, regret in walk(_with_horizon(env, steps), fixed_arm(arm), steps)]
        assert sum(found) >= -1e-9
        assert name in IN_HINDSIGHT or min(found) >= 0.0


@pytest.mark.parametrize("name", envs.names())
def test_an_environment_is_rebuilt_from_its_spec(name: str) -> None:
    env = world(name)
    again = envs.from_spec(json.loads(json.dumps(env.spec)))
    np.testing.assert_equal(_plain(again.params), _plain(env.params))


@pytest.mark.parametrize("name", ENVS)
def test_a_simulation_in_two_parts_is_one_simulation(name: str) -> None:
    policy = "ucb1" if world(name).problem.context_kind == "dense" else "squarecb"
    whole, parts = (Simulation(golden.specimen(policy), world(name), horizon=80, seed=2) for _ in range(2))
    whole.advance(80)
    parts.advance(33)
    parts.advance(47)
    assert parts.totals.reward[0] == whole.totals.reward[0]
    assert snapshot.digest(parts.state) == snapshot.digest(whole.state)


def _with_horizon(env: Environment, horizon: int) -> Environment:
    return dataclasses.replace(env, problem=dataclasses.replace(env.problem, horizon=horizon))


def _plain(value: Any) -> Any:
    """Return nested params as tuples, for a comparison by value."""
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value
