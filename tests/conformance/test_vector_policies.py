"""What every policy that decides vectors keeps to, beside what all policies do: without a line here.

They play the courses of `courses.py` in every domain that they take, on every kind of feedback and of hint.
"""

from __future__ import annotations

import math

import golden
import pytest
from support.courses import Timing, World, comparators, outside, regret
from support.every_run import every_run, first_of_others
from support.kinds.vectors import CASES, HORIZON, NAMES, OTHERS, PLAIN, WORLDS, Case, begin, played

from onearm.engine import loop
from onearm.engine.domain import ball
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import certifies
from onearm.engine.vocabulary import FeedbackKind, Problem

TIMINGS: tuple[Timing, ...] = ("in time", "late")
COURSES = [(case, world, timing) for case in PLAIN for world in WORLDS for timing in TIMINGS]
# Of every policy each domain, kind of feedback and hint in each world; whether that is late turns with both.
EVERY_RUN = [
    (case, world, TIMINGS[(i + j) % len(TIMINGS)])
    for i, case in enumerate(first_of_others(PLAIN, lambda case: case.name))
    for j, world in enumerate(WORLDS)
]


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_takes_some_domain_for_each_kind_of_feedback(name: str) -> None:
    assert {case.feedback for case in CASES if case.name == name} == set(golden.specimen(name).feedbacks)


@pytest.mark.parametrize(("case", "world", "timing"), every_run(COURSES, EVERY_RUN), ids=str)
def test_points_lie_in_the_domain_and_the_certificate_is_not_below_the_regret(
    case: Case, world: World, timing: Timing
) -> None:
    assert_proven(case, world, timing)


@pytest.mark.jit
@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_the_same_holds_for_other_hints_and_in_one_dimension_and_in_many(case: Case) -> None:
    for world in WORLDS:
        for timing in TIMINGS:
            assert_proven(case, world, timing)


def assert_proven(case: Case, world: World, timing: Timing) -> None:
    """Check that points lie in the domain, and that what is proven of a course holds for it."""
    policy, problem, course = case.policy, case.problem, played(case, world, timing)
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


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_refuses_feedback_that_it_does_not_learn_from_by_name(name: str) -> None:
    policy = golden.specimen(name)
    kinds: tuple[FeedbackKind, ...] = ("reward", "gradient", "losses", "two_rewards", "example")
    for kind in set(kinds) - set(policy.feedbacks):
        with pytest.raises(InvalidInput, match=f"policy '{name}' learns from"):
            check_fit(policy, Problem(0, domain=ball(2), feedback=kind))


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_every_feedback_changes_the_state(case: Case) -> None:
    course = begin(case, "even").play(HORIZON)
    for instance in course.instances(5):
        before = course.digest()
        course.learn(instance, course.decide(instance))
        assert course.digest() != before
