"""What a person says of the world: a new one, an earlier model again, a change that was none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine import loop, snapshot
from onearm.engine.changes.turning import before_last, turned
from onearm.engine.changes.worlds import (
    ALL,
    FOUND,
    GONE,
    KEPT,
    SAID,
    TAKEN_BACK,
    changes_of,
    enter,
    give_up,
    leader_of,
    model_at,
    seen_by,
    standing,
    worlds,
)
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import Conflict, InvalidInput, NotFound
from onearm.engine.growth import grown
from onearm.engine.protocol import row_of
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem, Turn
from onearm.policies import catalog

RUN = run_key(3, 0, POLICY)
OF_MEANS = 'adaptive:{"policy":"ucb1"}'
OF_ERRORS = 'adaptive:{"policy":"linucb"}'


class Played:
    """A policy that takes the arms in turn; each pays what `paid` says, at once."""

    def __init__(self, spec: str, problem: Problem) -> None:
        self.policy: Policy = catalog.parse(spec)
        if self.policy.resolve is not None:
            self.policy = self.policy.resolve(problem)
        self.problem, self.t = problem, 0
        self.state: Any = self.policy.init(self.policy.params, problem)

    def play(self, n: int, paid: list[float]) -> None:
        for _ in range(n):
            self.learn(self.t, self.t % len(paid), paid[self.t % len(paid)])
            self.t += 1

    def learn(self, number: int, arm: int, reward: float) -> None:
        context = np.full(self.problem.context_shape, 0.5)
        instance = Instance(number, context, np.ones(self.problem.n_arms, np.bool_))
        feedback = Feedback(reward, np.zeros(0))
        loop.learn.python(self.policy.params, self.state, instance, Decision(arm, 0.5), feedback, Key(RUN, number))

    def say(self, known: bool, model: int | None = None) -> None:
        turned(self.policy, self.state, Turn(self.t, known, model))

    def model(self, i: int) -> str:
        return snapshot.digest(row_of(self.inner.models.rows, i))

    @property
    def inner(self) -> Any:
        state = self.state
        while hasattr(state, "inner"):
            state = state.inner
        return state


def scenarios() -> list[Any]:
    return [
        pytest.param(OF_MEANS, Problem(2), id="means"),
        pytest.param(OF_ERRORS, Problem(2, (3,)), id="errors"),
        pytest.param('floor:{"policy":{"name":"adaptive","params":{"policy":"ucb1"}}}', Problem(2), id="floor"),
        pytest.param(
            'floor:{"policy":{"name":"budget","params":{"policy":{"name":"adaptive","params":{"policy":"exp3_ix"}},'
            '"cost":[1,2,3],"limit":2}}}',
            Problem(2),
            id="floor of budget",
        ),
    ]


@pytest.mark.parametrize(("spec", "problem"), scenarios())
def test_a_new_world_begins_with_a_model_as_at_creation_and_the_old_one_stays_as_it_was(
    spec: str, problem: Problem
) -> None:
    played = Played(spec, problem)
    fresh = played.model(0)
    played.play(10, [0.0, 1.0])
    old = played.model(0)
    played.say(known=True)
    (change,) = changes_of(played.policy, played.state)
    assert change == (1, 10, 10, 1, 0.0, ALL, "said")
    assert leader_of(played.policy, played.state) == 1
    assert (played.model(0), played.model(1)) == (old, fresh)
    played.play(4, [1.0, 0.0])
    assert played.model(0) == old and played.model(1) != fresh


@pytest.mark.parametrize(("spec", "problem"), scenarios())
def test_late_feedback_belongs_to_the_world_that_its_decision_was_made_in(spec: str, problem: Problem) -> None:
    played = Played(spec, problem)
    played.play(10, [0.0, 1.0])
    played.t += 1  # decision 10 waits for its reward
    played.say(known=True)
    models = played.model(0), played.model(1)
    played.learn(10, 1, 0.25)
    assert played.model(0) != models[0] and played.model(1) == models[1]


@pytest.mark.parametrize(("spec", "problem"), scenarios())
def test_an_earlier_model_leads_again(spec: str, problem: Problem) -> None:
    played = Played(spec, problem)
    played.play(10, [0.0, 1.0])
    played.say(known=True)
    played.play(10, [1.0, 0.0])
    models = played.model(0), played.model(1)
    played.say(known=True, model=0)
    assert changes_of(played.policy, played.state)[-1] == (2, 20, 20, 0, 0.0, 0, "said")
    played.play(2, [0.0, 1.0])
    assert played.model(0) != models[0] and played.model(1) == models[1]


@pytest.mark.parametrize(("spec", "problem"), scenarios())
def test_a_change_that_was_none_leaves_its_decisions_to_the_model_before(spec: str, problem: Problem) -> None:
    played = Played(spec, problem)
    played.play(10, [0.0, 1.0])
    played.say(known=True)
    played.play(2, [0.0, 1.0])
    played.t += 1  # decision 12 was made in the world that was none
    played.say(known=False)
    changes = changes_of(played.policy, played.state)
    assert changes[-1] == (2, 10, 13, 0, 0.0, 0, "taken_back") and standing(changes) == []
    models = played.model(0), played.model(1)
    played.learn(12, 0, 0.0)
    assert played.model(0) != models[0] and played.model(1) == models[1]


def test_what_is_watched_begins_anew_with_a_world() -> None:
    played = Played(OF_MEANS, Problem(2))
    played.play(100, [0.0, 1.0])
    played.say(known=True)
    assert not played.state.watch.rewards.any() and (played.state.watch.book.wealth == 1.0).all()
    errors = Played(OF_ERRORS, Problem(2, (3,)))
    errors.play(100, [0.0, 1.0])
    kept = errors.state.watch.errors.total[0].copy()
    errors.say(known=True)
    assert kept.any() and not errors.state.watch.errors.total[1].any()
    errors.play(10, [1.0, 0.0])
    errors.say(known=True, model=0)  # what is known of its errors is known still
    assert errors.state.watch.errors.total[0].tolist() == kept.tolist()
    for _ in range(4):
        errors.say(known=True)
    assert leader_of(errors.policy, errors.state) == 0  # which made room for another world
    assert not errors.state.watch.errors.total[0].any() and errors.state.watch.age[0] == 0.0


def test_a_fifth_world_takes_the_model_that_has_not_led_for_longest() -> None:
    played = Played(OF_MEANS, Problem(2))
    for _ in range(4):
        played.play(4, [0.0, 1.0])
        played.say(known=True)
    found = [(change.number, change.model) for change in changes_of(played.policy, played.state)]
    assert found == [(1, 1), (2, 2), (3, 3), (4, 0)]
    played.say(known=False)
    played.say(known=False)
    played.say(known=False)
    with pytest.raises(Conflict, match="made room for another one") as refused:
        played.say(known=False)
    assert refused.value.code == "model_gone"


def test_what_cannot_be_said_is_refused_and_nothing_is_written() -> None:
    plain = Played("ucb1", Problem(2))
    with pytest.raises(InvalidInput, match="wrap it in adaptive") as unnoticed:
        plain.say(known=True)
    assert unnoticed.value.code == "notices_no_changes"
    assert changes_of(plain.policy, plain.state) == [] and leader_of(plain.policy, plain.state) is None
    played = Played(OF_MEANS, Problem(2))
    played.play(4, [0.0, 1.0])
    before = snapshot.digest(played.state)
    with pytest.raises(Conflict, match="there is none to take back"):
        played.say(known=False)
    with pytest.raises(NotFound, match="there is no model 1: there are 0"):
        played.say(known=True, model=1)
    with pytest.raises(Conflict, match="model 0 leads already"):
        played.say(known=True, model=0)
    assert snapshot.digest(played.state) == before


def test_arms_that_join_leave_the_worlds_as_they_are() -> None:
    played = Played(OF_MEANS, Problem(2))
    played.play(4, [0.0, 1.0])
    played.say(known=True)
    played.problem = Problem(3)
    played.state = grown(played.policy, played.state, played.problem)
    assert [change.model for change in changes_of(played.policy, played.state)] == [1]
    played.play(6, [0.0, 1.0, 0.5])
    played.say(known=False)
    assert leader_of(played.policy, played.state) == 0


def test_changes_are_taken_back_one_after_another() -> None:
    seen = worlds()
    enter(seen, 100, 120, 1, 1e9, ALL, FOUND)
    enter(seen, 200, 200, 2, 0.0, ALL, SAID)
    false, model = before_last(seen)
    assert (false.number, model) == (2, 1)
    enter(seen, false.place, 230, model, 0.0, 0, TAKEN_BACK)
    assert [model_at(seen, t) for t in (50, 150, 250)] == [0, 1, 1]
    false, model = before_last(seen)
    assert (false.number, model) == (1, 0)
    enter(seen, false.place, 260, model, 0.0, 0, TAKEN_BACK)
    assert [model_at(seen, t) for t in (50, 150, 250, 300)] == [0, 0, 0, 0]
    assert standing(seen_by(seen)) == []
    enter(seen, 300, 320, 3, 1e9, 1, FOUND)
    assert [model_at(seen, t) for t in (150, 299, 300)] == [0, 0, 3]
    give_up(seen, 0)
    with pytest.raises(Conflict, match="change 5 has made room"):
        before_last(seen)
    assert model_at(seen, 150) == GONE


def test_of_more_changes_than_are_kept_the_newest_are_told_and_the_oldest_is_not_taken_back() -> None:
    seen = worlds()
    for number in range(1, 100):
        enter(seen, 10 * number, 10 * number, number % 2, 0.0, 0, SAID)
    found = seen_by(seen)
    assert [change.number for change in found] == list(range(100 - KEPT + 1, 100))
    taken_back = 0
    with pytest.raises(Conflict, match=r"made room|there is none"):
        for _ in found:
            false, model = before_last(seen)
            assert (false.number, model) == (99 - taken_back, (98 - taken_back) % 2)
            enter(seen, false.place, 2000, model, 0.0, 0, TAKEN_BACK)
            taken_back += 1
    assert taken_back == 31  # each takes a place too, and that of the oldest
