"""What every policy that decides on arms keeps to, beside what all policies do: without a line here."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from typing import Any

import golden
import numpy as np
import pytest
from support.every_run import every_run
from support.kinds.arms import NAMES, begin, contexts_of, with_features
from support.kinds.course import RUN, Course
from support.kinds.drawn import DRAWS, frequencies
from support.quadratures import BY_QUADRATURE

from onearm.engine.featuriser.fixed import VALUE_MAX
from onearm.engine.problem import REWARD_MAX, fitted, state_problem
from onearm.engine.protocol import appraise, explains, recall, select, write_law
from onearm.engine.vocabulary import Array, Decision, Features, Feedback, Instance, Key, Problem

pytestmark = pytest.mark.usefixtures("few_cosines", "coarse_quadrature")
ALL = [(name, context) for name in NAMES for context in contexts_of(name)]
CASES = every_run(ALL, with_features(ALL))
LARGEST = sys.float_info.max
# Sizes of features, and rewards. The distance of two features of the last size is no float.
WILD = [(1e-300, REWARD_MAX), (1.0, -1e9), (1e307, -1e9), (1e307, REWARD_MAX), (LARGEST, -1e9)]
RANGED = [name for name in NAMES if golden.specimen(name).reward_range is not None]
# A policy that needs a home of its own adds the means of its arms; these must earn more than uniform there.
HOME = [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8]
HOMES: dict[str, list[float]] = {
    "fixed_omega": [0.8, 0.7, 0.6, 0.2, 0.1],  # at home where the first arm is best
    "ucrl2": [0.0, 1.0],  # its sets are wide for long
    "ucrl2b": [0.0, 1.0],
    "young": [0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.7, 0.4, 0.3, 0.2],  # without a context it takes arm 5 of 10
}
AT_HOME = 2000  # decisions
DRAWS_OF_SLOW = dict.fromkeys(BY_QUADRATURE, 20_000)


@pytest.mark.parametrize(("name", "context"), CASES)
def test_an_arm_that_is_the_only_one_is_taken_for_sure(name: str, context: str) -> None:
    course = begin(name, context, n_arms=1)
    for instance in course.instances(4):
        decision = course.decide(instance)
        assert decision.action == 0
        assert math.isnan(decision.propensity) or decision.propensity == pytest.approx(1.0, abs=1e-12)
        course.learn(instance, decision)


@pytest.mark.parametrize(("name", "context"), CASES)
@pytest.mark.parametrize(("size", "reward"), every_run(WILD, [(1e-300, REWARD_MAX), (LARGEST, -1e9)]))
@np.errstate(over="ignore", invalid="ignore")  # a score may be anything; no state and no law
def test_wild_rewards_and_features_leave_a_law(name: str, context: str, size: float, reward: float) -> None:
    course = begin(name, context)
    for instance in course.instances(12):
        wild = instance.t % 3 == 1
        if wild and course.problem.states is None:
            scale(instance.context, size)
        decision = course.decide(instance)
        assert instance.available[decision.action]
        feedback = course.world.feedback(instance, decision)
        course.learn(instance, decision, feedback._replace(reward=reward) if wild else None)
        law = course.law(instance)
        assert np.isnan(law).all() or law.sum() == pytest.approx(1.0, abs=1e-9)
    assert not any(np.isnan(array).any() for array in kept(course.state))


@pytest.mark.covering
@pytest.mark.parametrize(("name", "context"), CASES)
def test_a_law_at_once_is_that_of_one_action_after_another(name: str, context: str) -> None:
    """And what is not available is left as it is."""
    course = begin(name, context)
    for instance in course.instances(8):
        law = np.full(course.problem.n_arms, 7.0)
        write_law(course.policy.params, course.state, instance, law)
        np.testing.assert_array_equal(law, np.where(instance.available, course.law(instance), 7.0))
        course.learn(instance, course.decide(instance))


@pytest.mark.covering
@pytest.mark.parametrize(("name", "context"), CASES)
def test_what_is_recalled_of_a_law_right_after_a_decision_is_that_law(name: str, context: str) -> None:
    course = begin(name, context)
    for instance in course.instances(8):
        law = course.law(instance)
        select(course.policy.params, course.state, instance, Key(RUN, instance.t))
        for arm in np.flatnonzero(instance.available).tolist():
            found = recall(course.policy.params, course.state, instance, arm)
            np.testing.assert_equal(found, law[arm])
        course.learn(instance, course.decide(instance))


@pytest.mark.parametrize(("name", "context"), CASES)
def test_a_policy_says_whether_it_ever_draws(name: str, context: str) -> None:
    course = begin(name, context)
    propensities = set()
    for instance in course.instances(24):
        decision = course.decide(instance)
        propensities.add(decision.propensity)
        course.learn(instance, decision)
    assert course.policy.deterministic == (propensities == {1.0})


@pytest.mark.covering
@pytest.mark.parametrize(("name", "context"), CASES)
@np.errstate(invalid="ignore")
def test_a_policy_says_whether_it_divides_by_propensities(name: str, context: str) -> None:
    known, unknown = begin(name, context), begin(name, context)
    for instance in known.instances(12):
        decision = known.decide(instance)
        unknown.decide(instance)
        for course, propensity in ((known, decision.propensity), (unknown, np.nan)):
            feedback = course.world.feedback(instance, decision)._replace(reward=0.5)
            course.learn(instance, Decision(decision.action, propensity), feedback)
    same = all(
        np.array_equal(one, other, equal_nan=True)
        for one, other in zip(kept(known.state), kept(unknown.state), strict=True)
    )
    assert known.policy.divides == (not same)


@pytest.mark.parametrize("name", RANGED)
def test_in_a_declared_range_a_policy_decides_as_it_does_in_its_own(name: str) -> None:
    """To the bit: in parts of a range whose width is a power of two nothing is rounded."""
    low, width = -5.0, 16.0
    plain, euros = begin(name), begin(name)
    policy = fitted(euros.policy, dataclasses.replace(euros.problem, reward_range=(low, low + width)))
    euros = dataclasses.replace(euros, policy=policy)
    assert policy.reward_range == (low, low + width)
    for instance in plain.instances(24):
        decision = plain.decide(instance)
        assert euros.decide(instance) == decision
        part = plain.learn(instance, decision)
        euros.learn(instance, decision, part._replace(reward=low + width * part.reward))
    assert euros.digest() == plain.digest()
    if explains(policy.params) and policy.foretells:  # others' scores are no rewards
        (own, own_widths), (scores, widths) = appraisal(plain), appraisal(euros)
        assert scores == pytest.approx(low + width * own, nan_ok=True)
        assert widths == pytest.approx(width * own_widths, nan_ok=True)


def appraisal(course: Any) -> tuple[Array, Array]:
    k = course.problem.n_arms
    scores, widths = np.full(k, np.nan), np.full(k, np.nan)
    instance = course.world.instance(24)
    appraise(course.policy.params, course.state, instance, scores, widths)
    return scores, widths


def kept(state: Any) -> Iterator[Array]:
    """Yield the arrays that a snapshot would hold."""
    for name, field in zip(state._fields, state, strict=True):
        if name.startswith("scratch_"):
            continue
        if isinstance(field, tuple):
            yield from kept(field)
        else:
            yield field


def scale(context: Any, size: float) -> None:
    """Multiply every feature in place, as far as the boundary lets features grow."""
    if isinstance(context, Features):
        context.value[:] *= min(size, VALUE_MAX / 10.0)
    else:
        context[:] = np.clip(context * size, -LARGEST, LARGEST)


class Home:
    """Arms without contexts whose rewards, 0 and 1, are drawn before the first decision; or in the only state."""

    def __init__(self, means: list[float], seed: int, in_states: bool) -> None:
        self.context, self.detail = (np.zeros(2), np.zeros(1)) if in_states else (np.zeros(0), np.zeros(0))
        self.rewards = np.random.default_rng(seed).random((AT_HOME, len(means))) < means
        self.available = np.ones(len(means), np.bool_)

    def over(self, t: int) -> bool:
        return t == AT_HOME

    def instance(self, t: int) -> Instance:
        return Instance(t, self.context, self.available)

    def feedback(self, instance: Instance, decision: Decision) -> Feedback:
        return Feedback(float(self.rewards[instance.t, decision.action]), self.detail)


KNOW_REWARDS = {"loop_mixture", "ucrl2_vtr"}  # beforehand, and learn where decisions lead alone


@pytest.mark.jit
@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"uniform", *KNOW_REWARDS}])
def test_a_policy_earns_more_than_uniform_at_home(name: str) -> None:
    """One decision at a time: what that takes is compiled for other tests as well."""
    homes = [Home(HOMES.get(name, HOME), seed, contexts_of(name) == ["states"]) for seed in range(4)]
    assert sum(earned(name, home) for home in homes) > 1.2 * sum(home.rewards.mean(axis=1).sum() for home in homes)


def earned(name: str, home: Home) -> float:
    """Return the sum of a policy's rewards."""
    n_arms = len(home.available)
    problem = state_problem(1, n_arms) if len(home.context) else Problem(n_arms)
    problem = dataclasses.replace(problem, horizon=AT_HOME)
    course = Course(golden.specimen(name), problem, home, steps=AT_HOME)
    return sum(course.learn(instance, course.decide(instance)).reward for instance in course.instances(AT_HOME))


@pytest.mark.jit
@pytest.mark.parametrize("name", NAMES)
def test_frequencies_are_the_law(name: str) -> None:
    course = begin(name).play(40)
    instance = course.world.instance(40)._replace(available=np.array([True, True, False, True]))
    draws = DRAWS_OF_SLOW.get(name, DRAWS)
    found = frequencies(course.policy.params, course.state, instance, RUN, draws)
    law = course.law(instance)
    assert not np.isnan(law).any(), "a policy's specimen knows its law"
    assert (np.abs(found - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws)).all()
