"""What every policy that decides on arms keeps to, beside what all policies do: without a line here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import golden
import numpy as np
import pytest
from support.kinds.arms import MEANS, NAMES, begin, contexts_of
from support.kinds.course import RUN
from support.kinds.drawn import count_actions
from support.quadratures import BY_QUADRATURE

from onearm.engine.features import VALUE_MAX
from onearm.engine.problem import REWARD_MAX
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Features, Feedback
from onearm.envs import catalog as envs

pytestmark = pytest.mark.usefixtures("few_cosines", "coarse_quadrature")
CASES = [(name, context) for name in NAMES for context in contexts_of(name)]
# A policy that needs a home of its own adds a line; these must earn more than uniform there.
HOME = "bernoulli", {"mean": [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8]}
MIDDLE = "bernoulli", {"mean": [0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.7, 0.4, 0.3, 0.2]}
HOMES: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed_omega": ("bernoulli", {"mean": [0.8, 0.7, 0.6, 0.2, 0.1]}),  # at home where the first arm is best
    "young": MIDDLE,  # without a context it takes arm 5 of 10
}
DRAWS = 1_000_000
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
@pytest.mark.parametrize(("size", "reward"), [(1e-300, REWARD_MAX), (1.0, -1e9), (1e307, -1e9), (1e307, REWARD_MAX)])
@np.errstate(over="ignore", invalid="ignore")  # a score may be anything; no state and no law
def test_wild_rewards_and_features_leave_a_law(name: str, context: str, size: float, reward: float) -> None:
    course = begin(name, context)
    for instance in course.instances(12):
        wild = instance.t % 3 == 1
        if wild:
            scale(instance.context, size)
        decision = course.decide(instance)
        assert instance.available[decision.action]
        course.learn(instance, decision, Feedback(reward, np.zeros(0)) if wild else None)
        law = course.law(instance)
        assert np.isnan(law).all() or law.sum() == pytest.approx(1.0, abs=1e-9)
    assert not any(np.isnan(array).any() for array in kept(course.state))


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
        context *= size


@pytest.mark.jit
@pytest.mark.parametrize("name", [name for name in NAMES if name != "uniform"])
def test_a_policy_earns_more_than_uniform_at_home(name: str) -> None:
    world, params = HOMES.get(name, HOME)
    earned = [
        simulate(policy, envs.make(world, **params), horizon=2000, replications=4, seed=1).reward[:, -1].mean()
        for policy in (golden.specimen(name), golden.specimen("uniform"))
    ]
    assert earned[0] > 1.2 * earned[1]


@pytest.mark.jit
@pytest.mark.parametrize("name", NAMES)
def test_frequencies_are_the_law(name: str) -> None:
    course = begin(name).play(40)
    instance = course.world.instance(40)._replace(available=np.array([True, True, False, True]))
    counts = np.zeros(len(MEANS), np.int64)
    draws = DRAWS_OF_SLOW.get(name, DRAWS)
    count_actions(course.policy.params, course.state, instance, RUN, counts, draws)
    law = course.law(instance)
    assert not np.isnan(law).any(), "a policy's specimen knows its law"
    assert (np.abs(counts / draws - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws)).all()
