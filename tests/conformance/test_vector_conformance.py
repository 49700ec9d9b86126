"""What every policy that decides vectors keeps to, and every world of them: without a line here.

They play the courses of `courses.py` in every domain that they take, on every kind of feedback and of hint.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
from support.courses import RUN, Course, comparators, feedback_on, outside, play, regret

from onearm.engine import loop, snapshot
from onearm.engine.domain import Domain, ball, box, simplex
from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import certifies
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Decision, FeedbackKind, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

NAMES = golden.names("vector")
HORIZON = 60
DOMAINS = [*golden.DOMAINS, ball(1, 0.3), box([-2.0], [1.0]), simplex(50), ball(50, 2.0)]
WORLDS = ["even", "against", "wild"]
TIMINGS = ["in time", "late"]
HINTS = ["last", "zero", "context"]


def build(name: str, hint: str | None = None) -> Policy:
    return policies.make(name, **golden.SPECIMENS.get(name, {}) | ({} if hint is None else {"hint": hint}))


def problem_of(domain: Domain, feedback: FeedbackKind, hint: str | None = None) -> Problem:
    shape = (domain.dimension,) if hint == "context" else (0,)
    return Problem(0, shape, horizon=HORIZON, domain=domain, feedback=feedback)


def takes(policy: Policy, problem: Problem) -> bool:
    """Tell whether a policy decides on a problem; a domain that it does not take it refuses by name."""
    check_fit(policy, problem)
    try:
        policy.init(policy.params, problem)
    except InvalidInput as error:
        assert error.code in ("bad_domain", "policy_does_not_fit"), error
        return False
    return True


def cases() -> list[tuple[str, str | None, FeedbackKind, int]]:
    """Return (name, hint, feedback, place in DOMAINS), each hint of those that have one."""
    found: list[tuple[str, str | None, FeedbackKind, int]] = []
    for name in NAMES:
        has_hint = "hint" in inspect.signature(policies.factory(name)).parameters
        for hint in HINTS if has_hint else [None]:
            policy = build(name, hint)
            found += [
                (name, hint, feedback, place)
                for feedback in policy.feedbacks
                for place, domain in enumerate(DOMAINS)
                if takes(policy, problem_of(domain, feedback, hint))
            ]
    return found


CASES = cases()
PLAIN = [case for case in CASES if case[1] in (None, "last") and case[3] < len(golden.DOMAINS)]  # a few seconds
OTHERS = [case for case in CASES if case not in PLAIN]  # other hints, and one dimension or many


def played(case: tuple[str, str | None, FeedbackKind, int], world: Any, timing: Any) -> tuple[Policy, Problem, Course]:
    name, hint, feedback, place = case
    policy, problem = build(name, hint), problem_of(DOMAINS[place], feedback, hint)
    return policy, problem, play(policy, problem, world, timing, HORIZON)


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_takes_some_domain_for_each_kind_of_feedback(name: str) -> None:
    assert {case[2] for case in CASES if case[0] == name} == set(golden.specimen(name).feedbacks)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_points_lie_in_the_domain_and_the_certificate_is_not_below_the_regret(
    case: Any, world: str, timing: str
) -> None:
    assert_proven(case, world, timing)


@pytest.mark.jit
@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_the_same_holds_for_other_hints_and_in_one_dimension_and_in_many(case: Any) -> None:
    for world in WORLDS:
        for timing in TIMINGS:
            assert_proven(case, world, timing)


def assert_proven(case: Any, world: str, timing: str) -> None:
    """Check that points lie in the domain, and that what is proven of a course holds for it."""
    policy, problem, course = played(case, world, timing)
    domain = problem.domain
    assert domain is not None
    for points in course.points:
        for point in points.reshape(-1, domain.dimension):
            assert outside(domain, point) <= 1e-9
    bound, variation = loop.certificate(policy.params, course.state)
    if not certifies(policy.params):
        assert math.isnan(bound) and math.isnan(variation)
        return
    assert math.isfinite(bound) and variation >= 0.0
    beta = float(getattr(course.state, "beta", [0.0])[0])  # of losses that are curved: what the policy is told of them
    for other in comparators(domain, course):
        lost, size = regret(problem, course, other, beta)
        assert bound >= lost - 1e-9 * size


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_deciding_only_reads_and_repeats_itself(case: Any) -> None:
    policy, problem, course = played(case, "even", "late")
    rng = np.random.default_rng(3)
    for t in range(HORIZON, HORIZON + 5):
        before = snapshot.digest(course.state)
        instance = Instance(t, rng.normal(size=problem.context_shape), np.ones(1, np.bool_))
        once, again = (loop.decide(policy.params, course.state, instance, Key(RUN, t)).action.copy() for _ in range(2))
        loop.certificate(policy.params, course.state)
        assert once.tobytes() == again.tobytes()
        assert snapshot.digest(course.state) == before
        decision = Decision(once, 1.0)
        feedback = feedback_on(problem, once, "even", rng)
        loop.learn(policy.params, course.state, instance, decision, feedback, Key(RUN, t))
        assert snapshot.digest(course.state) != before


@pytest.mark.parametrize("world", ["even", "wild"])
@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_a_run_goes_on_from_its_snapshot_to_the_same_bits(case: Any, world: Any) -> None:
    policy, problem, course = played(case, world, "late")
    fresh = policy.init(policy.params, problem)
    kept = snapshot.unpack(snapshot.parts(course.state), like=fresh)
    assert loop.certificate(policy.params, kept) == loop.certificate(policy.params, course.state) or not certifies(
        policy.params
    )
    digests = []
    for state in (kept, course.state):
        rng = np.random.default_rng(4)
        for t in range(HORIZON, HORIZON + 10):
            instance = Instance(t, np.zeros(problem.context_shape), np.ones(1, np.bool_))
            point = loop.decide(policy.params, state, instance, Key(RUN, t)).action.copy()
            feedback = feedback_on(problem, point, "even", rng)
            loop.learn(policy.params, state, instance, Decision(point, 1.0), feedback, Key(RUN, t))
        digests.append(snapshot.digest(state))
    assert digests[0] == digests[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_refuses_what_it_cannot_use_by_name(name: str) -> None:
    policy = golden.specimen(name)
    with pytest.raises(InvalidInput, match=f"'{name}' decides on vectors in a domain, but this problem has arms"):
        check_fit(policy, Problem(3))
    kinds: tuple[FeedbackKind, ...] = ("reward", "gradient", "losses", "two_rewards", "example")
    for kind in set(kinds) - set(policy.feedbacks):
        with pytest.raises(InvalidInput, match=f"policy '{name}' learns from"):
            check_fit(policy, Problem(0, domain=ball(2), feedback=kind))
    with pytest.raises(InvalidInput, match="'luck'"):
        policies.make(name, luck=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_file_says_its_source_state_and_cost(name: str) -> None:
    said = inspect.getdoc(importlib.import_module(f"onearm.policies.{name}")) or ""
    for section in ("Source: ", "State: ", "Cost: "):
        assert section in said, f"policies/{name}.py has no {section!r}"


SMALLER: dict[str, dict[str, Any]] = {"random_order": {"losses": 20}}  # several passes within these tests
VECTOR_ENVS = [name for name in envs.names() if name not in ("logged_table",)]


def vector_env(name: str) -> Any:
    try:
        env = envs.make(name, **SMALLER.get(name, {}))
    except InvalidInput:
        return None
    return env if env.problem.domain is not None else None


ENVS = [name for name in VECTOR_ENVS if vector_env(name) is not None]


def answers(name: str, seed: int, steps: int = 25) -> list[tuple[float, float, list[float], list[float]]]:
    """Return what a world pays at points in turn: reward, regret, detail, context."""
    env = vector_env(name)
    rng, nature = np.random.default_rng(5), run_key(seed, 0, NATURE)
    run = Simulation(golden.specimen(usual(env.problem)), env, horizon=steps, seed=seed)
    world, found = run.world, []
    for t in range(steps):
        key = Key(nature, t)
        observe(world, t, key)
        instance = Instance(t, world.context, world.available)
        point = within(env.problem.domain, rng)
        reward, _ = loop.respond(world.params, world.state, instance, point, world.detail, key)
        lost = float(loop.regret(world.params, world.state, instance, point))
        found.append((float(reward), lost, world.detail.tolist(), world.context.tolist()))
    return found


def observe(world: Any, t: int, key: Key) -> None:
    loop.observe(world.params, world.state, t, world.context, world.available, key)


def usual(problem: Problem) -> str:
    return next(name for name in NAMES if problem.feedback in golden.specimen(name).feedbacks)


def within(domain: Domain, rng: np.random.Generator) -> Any:
    """Return a point well within a domain."""
    from_middle = comparators(domain, Course([], [(domain.start, rng.normal(size=domain.dimension))], None))[3]
    return domain.start + 0.5 * rng.random() * (from_middle - domain.start)


@pytest.mark.parametrize("name", ENVS)
def test_a_world_is_a_function_of_its_key_and_finite(name: str) -> None:
    first, again, other = answers(name, 3), answers(name, 3), answers(name, 4)
    np.testing.assert_equal(again, first)
    env = vector_env(name)
    for reward, lost, detail, context in first:
        assert np.isfinite([reward, *detail, *context]).all()
        assert len(detail) == env.problem.detail_length
        assert math.isnan(lost) == (env.regret_kind is None)
    assert name in SAME_FOR_ALL or first != other


SAME_FOR_ALL: tuple[str, ...] = ()  # worlds that draw nothing


@pytest.mark.parametrize("name", [name for name in ENVS if vector_env(name).problem.feedback in ("gradient", "losses")])
def test_the_detail_is_the_gradient_of_the_reward(name: str) -> None:
    env, step = vector_env(name), 1e-6
    domain, rng, nature = env.problem.domain, np.random.default_rng(6), run_key(2, 0, NATURE)
    world = Simulation(golden.specimen(usual(env.problem)), env, horizon=12, seed=2).world
    for t in range(12):
        key = Key(nature, t)
        observe(world, t, key)
        instance, point = Instance(t, world.context, world.available), within(domain, rng)

        def reward_at(x: Any, t: int = t) -> float:
            state, spare = copy.deepcopy(world.state), np.zeros_like(world.detail)
            seen = Instance(t, world.context, world.available)
            return float(loop.respond(world.params, state, seen, x, spare, Key(nature, t))[0])

        slopes = []
        for j in range(domain.dimension):
            ahead = step * np.eye(domain.dimension)[j]
            slopes.append((reward_at(point + ahead) - reward_at(point - ahead)) / (2.0 * step))
        reward, _ = loop.respond(world.params, world.state, instance, point, world.detail, key)
        np.testing.assert_allclose(world.detail, slopes, rtol=1e-5, atol=1e-5)
        if env.problem.feedback == "losses":
            assert reward == pytest.approx(float(world.detail @ point), abs=1e-9)


@pytest.mark.parametrize("name", ENVS)
def test_a_simulation_in_parts_is_one_and_its_log_is_its_state(name: str) -> None:
    env = vector_env(name)
    policy = golden.specimen(usual(env.problem))
    whole, parts = (Simulation(policy, env, horizon=40, seed=2) for _ in range(2))
    log = whole.advance_logged(40)
    parts.advance(13)
    parts.advance(27)
    assert parts.totals.reward[0] == whole.totals.reward[0]
    replayed, folded = (policy.init(policy.params, whole.problem) for _ in range(2))
    assert loop.replay(policy.params, replayed, whole.run, log) == -1
    loop.fold(policy.params, folded, whole.run, log)
    digests = {snapshot.digest(state) for state in (replayed, folded, whole.state, parts.state)}
    assert len(digests) == 1


DIGESTS = """
import test_vector_conformance as suite
for case in suite.PLAIN:
    print(suite.digest_of(case))
"""


def digest_of(case: Any) -> str:
    """Return what identifies a course, in a world that turns with the domain: its last state, and what it proves."""
    policy, _, course = played(case, WORLDS[case[3] % len(WORLDS)], "late")
    proof = [float(number).hex() for number in loop.certificate(policy.params, course.state)]
    return f"{case} {snapshot.digest(course.state)} {proof}"


@pytest.mark.jit
def test_compiled_courses_are_those_of_plain_python_to_the_bit() -> None:
    plain = subprocess.run(
        [sys.executable, "-c", DIGESTS],
        cwd=Path(__file__).parent,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.splitlines() == [digest_of(case) for case in PLAIN]
