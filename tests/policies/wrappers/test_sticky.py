"""Sticky, beside a dictionary of Python: random streams with units, masks, times and rewards."""

from __future__ import annotations

import math
from typing import Any

import golden
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onearm.engine import loop, snapshot
from onearm.engine.columns import empty
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.problem import fitted
from onearm.engine.protocol import has_law, marks
from onearm.engine.vocabulary import (
    DECIDE,
    LEARN,
    NOBODY,
    Array,
    Columns,
    Decision,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
)
from onearm.policies import catalog

RUN = run_key(3, 0, POLICY)
ARMS = 4
PROBLEM = Problem(ARMS)
ALL = np.ones(ARMS, np.bool_)
NOTHING = np.zeros(0)


def around(inner: Any = "exp3_ix", **params: Any) -> Policy:
    return fitted(catalog.make("sticky", policy=inner, **params), PROBLEM)


def at(t: int, unit: int, second: int = 0, available: Array = ALL) -> Instance:
    return Instance(t, NOTHING, available, np.uint64(unit), second * 1_000_000)


class Reference:
    """What sticky does, by a dictionary: unit -> (arm, propensity, second of the draw)."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.inner = policy, policy.params.inner
        self.state = policy.init(policy.params, PROBLEM).inner
        self.kept: dict[int, tuple[int, float, int]] = {}
        self.left_out = 0

    def decide(self, instance: Instance, key: Key) -> tuple[Decision, bool]:
        unit, second = int(instance.unit), instance.time // 1_000_000
        seconds = self.policy.params.seconds
        arm, propensity, drawn = self.kept.get(unit, (-1, math.nan, 0))
        if unit and arm >= 0 and instance.available[arm] and not (seconds and second - drawn >= seconds):
            return Decision(arm, propensity), True
        decision = Decision(*loop.decide(self.inner, self.state, instance, key))
        if unit and (unit in self.kept or self.room(second)):
            self.kept[unit] = int(decision.action), float(decision.propensity), second
        elif unit:
            self.left_out += 1
        return decision, False

    def room(self, second: int) -> bool:
        return len(self.kept) < self.policy.params.units_max


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[int, int, list[bool], float]]:
    """Decisions: unit (0 is nobody), seconds since the one before, mask, reward."""
    n_units = draw(st.integers(1, 6))
    step = st.tuples(
        st.integers(0, n_units),
        st.integers(0, 4),
        st.lists(st.booleans(), min_size=ARMS, max_size=ARMS).filter(any),
        st.sampled_from([0.0, 0.5, 1.0]),
    )
    return draw(st.lists(step, min_size=1, max_size=40))


@settings(deadline=None)
@given(stream=streams(), seconds=st.sampled_from([0, 5, 12]))
def test_units_get_what_a_dictionary_says(stream: list[tuple[int, int, list[bool], float]], seconds: int) -> None:
    """Unit u is the number 2^64 - 11 u, so that several begin their search at one place of the map's."""
    policy = around(seconds=seconds, units_max=10)
    reference, state, now = Reference(policy), policy.init(policy.params, PROBLEM), 100
    for t, (unit, wait, mask, reward) in enumerate(stream):
        now += wait
        instance, key = at(t, (2**64 - 11 * unit) % 2**64, now, np.array(mask)), Key(RUN, t)
        repeats = policy.repeats(policy.params, state, instance)
        decision = Decision(*loop.decide(policy.params, state, instance, key))
        wanted, again = reference.decide(instance, key)
        assert (decision, repeats) == (wanted, again)
        loop.learn(policy.params, state, instance, decision, Feedback(reward, NOTHING), key)
        loop.learn(reference.inner, reference.state, instance, wanted, Feedback(reward, NOTHING), key)
    assert snapshot.digest(state.inner) == snapshot.digest(reference.state)
    kept = {
        int(unit): (int(arm), float(propensity), int(drawn))
        for unit, arm, propensity, drawn in zip(state.unit, state.arm, state.propensity, state.drawn, strict=True)
        if unit
    }
    assert kept == reference.kept
    assert state.count.tolist() == [len(kept), 0]


def test_what_finds_no_room_is_decided_counted_and_not_kept() -> None:
    policy = around("uniform", units_max=3)
    state = policy.init(policy.params, PROBLEM)
    seen: dict[int, set[int]] = {}
    for t in range(200):
        unit = 1 + t % 5
        seen.setdefault(unit, set()).add(int(loop.decide(policy.params, state, at(t, unit), Key(RUN, t)).action))
    assert [len(seen[unit]) for unit in (1, 2, 3)] == [1, 1, 1]
    assert min(len(seen[unit]) for unit in (4, 5)) > 1
    told = policy.constants(policy.params, state)
    assert [told[name].value for name in ("units_kept", "units_max", "decisions_not_kept")] == [3, 3, 80]


def test_units_whose_time_is_over_make_room_for_others() -> None:
    policy = around("uniform", seconds=10, units_max=1)  # two places: each search looks at both
    state = policy.init(policy.params, PROBLEM)
    first = loop.decide(policy.params, state, at(0, 4, 100), Key(RUN, 0))
    assert not policy.repeats(policy.params, state, at(1, 6, 105))
    loop.decide(policy.params, state, at(1, 6, 105), Key(RUN, 1))
    assert policy.repeats(policy.params, state, at(2, 4, 109))
    assert tuple(loop.decide(policy.params, state, at(2, 4, 109), Key(RUN, 2))) == tuple(first)
    loop.decide(policy.params, state, at(3, 6, 110), Key(RUN, 3))
    assert policy.repeats(policy.params, state, at(4, 6, 110))
    assert not policy.repeats(policy.params, state, at(4, 4, 110))
    assert state.count.tolist() == [1, 1]


def log() -> Columns:
    """A log of 60 decisions for 7 units and nobody, made step by step, each with its reward."""
    policy = around()
    state, rows = policy.init(policy.params, PROBLEM), empty(120, PROBLEM, masked=True)
    rows = rows._replace(unit=np.zeros(120, np.uint64), time=np.zeros(120, np.int64))
    for t in range(60):
        instance = at(t, 5 * (t % 8), t, (np.arange(ARMS) + t) % 5 > 0)
        decision = Decision(*loop.decide(policy.params, state, instance, Key(RUN, t)))
        reward = float(decision.action % 2)
        loop.learn(policy.params, state, instance, decision, Feedback(reward, NOTHING), Key(RUN, t))
        both = slice(2 * t, 2 * t + 2)
        rows.kind[both] = DECIDE, LEARN
        rows.number[both], rows.action[both], rows.propensity[both] = t, decision.action, decision.propensity
        rows.unit[both], rows.time[both], rows.available[both] = instance.unit, instance.time, instance.available
        rows.reward[2 * t + 1] = reward
    return rows


@pytest.mark.jit
def test_a_replay_and_a_fold_come_to_the_same_map() -> None:
    policy, rows = around(), log()
    replayed, folded = (policy.init(policy.params, PROBLEM) for _ in range(2))
    assert loop.replay(policy.params, replayed, RUN, rows) == -1
    loop.fold(policy.params, folded, RUN, rows, None, None)
    assert snapshot.digest(replayed) == snapshot.digest(folded)
    assert np.count_nonzero(folded.unit) == folded.count[0] == 7
    rows.unit[62] += np.uint64(1)  # whom decision 31 is for
    assert loop.replay(policy.params, policy.init(policy.params, PROBLEM), RUN, rows) >= 62


def test_the_law_of_a_repeat_is_what_is_on_record() -> None:
    policy = around()
    state = policy.init(policy.params, PROBLEM)
    arm, propensity = loop.decide(policy.params, state, at(0, 9), Key(RUN, 0))
    numbers, parts = np.full((3, ARMS), np.nan), np.zeros((ARMS, 1))
    loop.explain(policy.params, state, at(1, 9), *numbers, parts)
    assert numbers[0].tolist() == [propensity if a == arm else 0.0 for a in range(ARMS)]
    loop.explain(policy.params, state, at(1, 8), *numbers, parts)
    assert numbers[0].tolist() == [0.25] * ARMS


def test_it_takes_note_of_decisions_whatever_is_inside() -> None:
    assert not marks(around().params.inner)
    assert marks(around().params)
    assert has_law(around().params)
    assert not has_law(around({"name": "thompson_normal", "params": {"propensities": False}}).params)


def test_ten_million_units_take_300_mb() -> None:
    policy = around("uniform", units_max=10_000_000)
    assert snapshot.size(policy.init(policy.params, PROBLEM)) <= 300e6


def test_arms_that_join_are_drawn_for_new_units_alone() -> None:
    policy = around("uniform")
    state = policy.init(policy.params, PROBLEM)
    first = loop.decide(policy.params, state, at(0, 5), Key(RUN, 0))
    more = grown(policy, state, Problem(ARMS + 60))
    everything = np.ones(ARMS + 60, np.bool_)
    assert tuple(loop.decide(policy.params, more, at(1, 5, 0, everything), Key(RUN, 1))) == tuple(first)
    assert loop.decide(policy.params, more, at(2, 6, 0, everything), Key(RUN, 2)).propensity == 1 / 64


@pytest.mark.parametrize("inner", ["floor", "budget", "paced_budget", "adaptive"])
def test_it_goes_around_other_wrappers(inner: str) -> None:
    policy = fitted(catalog.make("sticky", policy=golden.specimen(inner)), Problem(5))
    state = policy.init(policy.params, Problem(5))
    everything, made = np.ones(5, np.bool_), []
    for t in range(40):
        instance = at(t, 1 + t % 4, t, everything)
        decision = Decision(*loop.decide(policy.params, state, instance, Key(RUN, t)))
        loop.learn(policy.params, state, instance, decision, Feedback(0.5, NOTHING), Key(RUN, t))
        made.append((int(decision.action), float(decision.propensity)))
    assert made[4:] == made[:-4]


@pytest.mark.parametrize(
    ("name", "params", "code"),
    [
        *(("floor", {"minimum": 0.1}, "sticky_inside"), ("adaptive", {}, "sticky_inside")),
        ("budget", {"cost": [1.0], "limit": 1.0}, "sticky_inside"),
        ("sticky", {}, "sticky_inside"),
    ],
)
def test_it_goes_outside(name: str, params: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        catalog.make(name, policy={"name": "sticky", "params": {"policy": "ucb1"}}, **params)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"policy": "ucb1", "seconds": -1}, "bad_param"),
        ({"policy": "ucb1", "seconds": 1.5}, "bad_param"),
        ({"policy": "ucb1", "units_max": 0}, "bad_param"),
        ({"policy": "ucb1", "units_max": True}, "bad_param"),
        ({"policy": "king"}, "no_arms"),
        ({"policy": "optimistic_hedge"}, "no_arms"),
        ({"policy": "uniform_budget"}, "no_arms"),
        ({"policy": "half_visit"}, "states_move"),
    ],
)
def test_what_cannot_be_sticky_is_refused(params: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        catalog.make("sticky", **params)
    assert refused.value.code == code


def test_actions_that_come_with_the_call_are_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        fitted(catalog.make("sticky", policy="squarecb"), Problem(4, (4, 3)))
    assert refused.value.code == "policy_does_not_fit"


def test_decisions_for_nobody_are_those_of_the_policy_inside() -> None:
    policy, alone = around("exp3_ix"), fitted(catalog.make("exp3_ix"), PROBLEM)
    state, other = policy.init(policy.params, PROBLEM), alone.init(alone.params, PROBLEM)
    for t in range(50):
        instance = Instance(t, NOTHING, ALL)
        assert instance.unit == NOBODY
        decision = loop.decide(policy.params, state, instance, Key(RUN, t))
        assert tuple(decision) == tuple(loop.decide(alone.params, other, instance, Key(RUN, t)))
        for each, its in ((policy, state), (alone, other)):
            loop.learn(each.params, its, instance, Decision(*decision), Feedback(t % 2, NOTHING), Key(RUN, t))
    assert not state.unit.any()
