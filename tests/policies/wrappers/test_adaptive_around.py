"""Adaptive around every policy of arms, with every kind of context that it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import golden
import numpy as np
import pytest
from support.every_run import every_run
from support.kinds.arms import NAMES, ArmWorld, contexts_of, problem_of, with_features
from support.kinds.course import Course

from onearm.engine import snapshot
from onearm.engine.changes.mean_watch import MeanWatch
from onearm.engine.changes.worlds import seen_by
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.protocol import row_of
from onearm.engine.vocabulary import Decision, Feedback, Instance, Policy
from onearm.policies import catalog

pytestmark = pytest.mark.usefixtures("few_cosines", "coarse_quadrature")


class Wider(ArmWorld):
    """Two arms more, which pay as the first."""

    def feedback(self, instance: Instance, decision: Decision) -> Feedback:
        return super().feedback(instance, decision._replace(action=decision.action % 4))


WRAPPERS = ("adaptive", "budget", "constrained", "floor", "paced_budget", "split", "sticky")
BLIND = {"logistic_thompson", "tsallis_inf_binned", *(set(NAMES) - set(golden.without_states()))}  # with contexts
CASES = [
    (name, context)
    for name in NAMES
    for context in contexts_of(name)
    if name not in WRAPPERS and (context == "none" or name not in BLIND)
]
EACH = pytest.mark.parametrize(("name", "context"), every_run(CASES, with_features(CASES)))


def around(name: str, look: float) -> Policy:
    return catalog.make("adaptive", policy=golden.specimen(name), look=look)


def course_of(policy: Policy, name: str, context: str) -> Course:
    problem = problem_of(policy, context, n_arms=4)
    return Course(policy, problem, ArmWorld(problem), steps=60)


def turn(course: Course) -> None:
    """Go on until a reward tells of a change, whatever it is of: the next that was not merely tried."""
    watch, worlds = course.state.watch, course.state.worlds.total[0]
    watch.book.wealth[:] = 1e9
    watch.book.start[:] = course.t - 2
    if isinstance(watch, MeanWatch):
        watch.rewards[:], watch.deviation[:] = 100.0, 1.0
    while course.state.worlds.total[0] == worlds:
        list(decisions(course, 1))


def decisions(course: Course, n: int) -> Iterator[tuple[int, float]]:
    for instance in course.instances(n):
        decision = course.decide(instance)
        course.learn(instance, decision)
        yield decision.action, decision.propensity


@pytest.mark.covering
@EACH
def test_without_looks_the_policy_inside_decides_to_the_bit(name: str, context: str) -> None:
    alone = course_of(golden.specimen(name), name, context)
    inside = course_of(around(name, look=0.0), name, context)
    n = 24
    np.testing.assert_equal(list(decisions(inside, n)), list(decisions(alone, n)))
    assert snapshot.digest(row_of(inside.state.models.rows, 0)) == alone.digest()
    assert inside.policy.deterministic == alone.policy.deterministic


@pytest.mark.covering
@EACH
def test_after_a_change_a_run_goes_on_from_its_snapshot_to_the_same_bits(name: str, context: str) -> None:
    """Working space is no part of a snapshot: what one model left there must not reach another."""
    course = course_of(around(name, look=0.2), name, context)
    for _ in range(2):
        list(decisions(course, 8))
        turn(course)
    list(decisions(course, 6))
    assert len(seen_by(course.state.worlds)) == 2
    restored = course.restored()
    restored.t = course.t
    np.testing.assert_equal(list(decisions(restored, 8)), list(decisions(course, 8)))
    assert restored.digest() == course.digest()


@pytest.mark.covering
@EACH
def test_a_new_model_learns_as_a_policy_that_begins(name: str, context: str) -> None:
    """Where all is learned anew: what follows is what a policy without a past learns from the same rewards."""
    course = course_of(around(name, look=0.0), name, context)
    list(decisions(course, 8))
    turn(course)
    if seen_by(course.state.worlds)[0].fresh < 4:
        return
    alone = course_of(golden.specimen(name), name, context)
    alone.t = course.t
    np.testing.assert_equal(list(decisions(course, 6)), list(decisions(alone, 6)))
    assert snapshot.digest(row_of(course.state.models.rows, 1)) == alone.digest()


@pytest.mark.parametrize(
    "name", [name for name in golden.without_states() if name not in WRAPPERS and golden.specimen(name).grow]
)
def test_every_model_of_a_policy_that_grows_does(name: str) -> None:
    course = course_of(around(name, look=0.1), name, "none")
    list(decisions(course, 8))
    turn(course)
    list(decisions(course, 6))
    problem = dataclasses.replace(course.problem, n_arms=6)
    inner = course.policy.params.inner
    policy = dataclasses.replace(golden.specimen(name), params=inner)
    kept = [snapshot.copied(row_of(course.state.models.rows, model)) for model in range(2)]
    more = grown(course.policy, course.state, problem)
    for model in range(2):
        expected = grown(policy, kept[model], problem)
        assert snapshot.digest(row_of(more.models.rows, model)) == snapshot.digest(expected)
    wider = dataclasses.replace(course, problem=problem, world=Wider(problem), state=more)
    assert all(action < 6 for action, _ in decisions(wider, 6))


@pytest.mark.parametrize("name", sorted(BLIND))
def test_what_cannot_foretell_is_refused_where_there_are_contexts(name: str) -> None:
    for context in contexts_of(name):
        problem = problem_of(golden.specimen(name), context, n_arms=4)
        if problem.context_shape == (0,):
            continue
        with pytest.raises(InvalidInput, match=f"policy '{name}' decides by contexts and does not foretell rewards"):
            course_of(around(name, look=0.0), name, context)
