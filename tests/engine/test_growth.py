"""Arms added while a policy is at work: what it knew it still knows, and the new ones begin as at creation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine import loop, snapshot
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = np.uint64(7)
LATE = 8  # the decision before which the new arms come
PARAMS: dict[str, dict[str, Any]] = {"floor": {"policy": {"name": "ucb1", "params": {}}, "minimum": 0.01}}
AS_IF_MASKED = [
    "ucb1",
    "thompson_beta",
    "thompson_normal",
    "epsilon_greedy",
    "kl_ucb",
    "uniform",
    "floor",
]
"""Policies to which an arm that is not there is as good as one that never was: moss counts the arms."""


def play(policy: Policy, state: Any, k: int, start: int, stop: int, there: int) -> list[tuple[int, float]]:
    """Decide and learn at start <= t < stop, with the first `there` of k arms; later arms pay more."""
    made = []
    available = np.arange(k) < there
    for t in range(start, stop):
        instance, key = Instance(t, np.zeros(0), available), Key(RUN, t)
        decision = Decision(*loop.decide(policy.params, state, instance, key))
        feedback = Feedback(((t * 7) % 10) / 10 * (1 + decision.action) / 5, np.zeros(0))
        loop.learn(policy.params, state, instance, decision, feedback, key)
        made.append((int(decision.action), float(decision.propensity)))
    return made


@pytest.mark.usefixtures("coarse_quadrature")
@pytest.mark.parametrize("name", AS_IF_MASKED)
def test_growing_late_is_as_having_been_masked(name: str) -> None:
    policy = catalog.from_spec({"name": name, "params": PARAMS.get(name, {})})
    masked = policy.init(policy.params, Problem(5))
    state = policy.init(policy.params, Problem(3))
    play(policy, masked, 5, 0, LATE, there=3)
    play(policy, state, 3, 0, LATE, there=3)
    state = grown(policy, state, Problem(5))
    assert play(policy, state, 5, LATE, 4 * LATE, there=5) == play(policy, masked, 5, LATE, 4 * LATE, there=5)
    if name != "epsilon_greedy":  # it keeps a bound on the means of all arms, which those that are masked raise
        assert snapshot.digest(state) == snapshot.digest(masked)


def test_a_new_arm_of_epsilon_greedy_leads_where_all_others_lose() -> None:
    policy = catalog.make("epsilon_greedy", epsilon=0.0)
    state = policy.init(policy.params, Problem(2))
    for t in range(4):
        instance, key = Instance(t, np.zeros(0), np.ones(2, np.bool_)), Key(RUN, t)
        loop.learn(policy.params, state, instance, Decision(t % 2, 1.0), Feedback(-1.0 - t, np.zeros(0)), key)
    state = grown(policy, state, Problem(3))
    assert (state.leader[0], state.ceiling[0]) == (2, -1.0)
    instance = Instance(4, np.zeros(0), np.ones(3, np.bool_))
    assert loop.decide(policy.params, state, instance, Key(RUN, 4))[0] == 2


def test_each_arm_of_moss_has_a_smaller_share_of_more_arms() -> None:
    policy = catalog.make("moss")
    state = policy.init(policy.params, Problem(2, horizon=100))
    play(policy, state, 2, 0, 10, there=2)
    more = grown(policy, state, Problem(4, horizon=100))
    np.testing.assert_allclose(more.log_share[:2], np.log(4 * more.count[:2]), rtol=1e-15)
    assert more.log_share[2:].tolist() == [-np.inf, -np.inf]
    assert more.horizon.tolist() == [100]
    assert loop.decide(policy.params, more, Instance(10, np.zeros(0), np.ones(4, np.bool_)), Key(RUN, 10))[0] == 2


def test_what_does_not_depend_on_the_arms_is_not_copied() -> None:
    """The table of named features, which may be as large as the memory."""
    policy = catalog.make("squarecb")
    state = policy.init(policy.params, Problem(2, (2, 64), None, 8))
    more = grown(policy, state, Problem(3, (3, 64), None, 12))
    before, after = state.model.model, more.model.model
    assert after.many.weight is before.many.weight and after.many.seen is before.many.seen
    assert after.few.coordinate is before.few.coordinate
    assert len(more.scratch_work.score) == 3


@pytest.mark.parametrize("name", ["exp3_ix", "tsallis_inf"])
def test_a_policy_whose_new_arms_would_begin_wrong_takes_none(name: str) -> None:
    policy = catalog.make(name)
    state = policy.init(policy.params, Problem(2))
    with pytest.raises(InvalidInput, match=f"policy '{name}' takes no new arms") as refused:
        grown(policy, state, Problem(3))
    assert refused.value.code == "arms_are_fixed"


def test_a_floor_takes_as_many_arms_as_it_has_room_for_and_its_policy_takes() -> None:
    wrap = {"name": "floor", "params": {"policy": {"name": "ucb1", "params": {}}, "minimum": 0.25}}
    policy = catalog.from_spec(wrap)
    state = grown(policy, policy.init(policy.params, Problem(2)), Problem(4))
    with pytest.raises(InvalidInput, match=r"minimum is 0\.25 and there are 5 arms"):
        grown(policy, state, Problem(5))
    fixed = catalog.from_spec({"name": "floor", "params": {"policy": {"name": "exp3_ix", "params": {}}}})
    assert fixed.grow is None
