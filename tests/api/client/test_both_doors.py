"""One suite for the engines of `onearm.open` and for experiments of a client, of every kind: the same methods."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.both_doors import DOORS, Doors, opened
from support.every_run import every_run

import onearm
from onearm.api.arms_once import Stream
from onearm.api.client.asynchronous.arms import AsyncArms
from onearm.api.client.asynchronous.lists import AsyncLists
from onearm.api.client.asynchronous.queries import AsyncQueries
from onearm.api.client.asynchronous.streams import AsyncStream
from onearm.api.client.asynchronous.vectors import AsyncVectors
from onearm.api.client.blocking.arms import Arms
from onearm.api.client.blocking.lists import Lists
from onearm.api.client.blocking.queries import Queries
from onearm.api.client.blocking.streams import Stream as StreamAtService
from onearm.api.client.blocking.vectors import Vectors
from onearm.api.kinds.arms.engine import Engine
from onearm.api.kinds.lists.engine import ListEngine
from onearm.api.kinds.queries.engine import QueryEngine
from onearm.api.kinds.vectors.engine import VectorEngine
from onearm.api.methods import AsksQueries, DecidesArms, DecidesVectors, FillsLists, ReadsStream
from onearm.engine.domain import ball
from onearm.engine.errors import Conflict, InvalidInput

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
WHO = {
    DecidesArms: (Engine, Arms, AsyncArms),
    FillsLists: (ListEngine, Lists, AsyncLists),
    DecidesVectors: (VectorEngine, Vectors, AsyncVectors),
    AsksQueries: (QueryEngine, Queries, AsyncQueries),
    ReadsStream: (Stream, StreamAtService, AsyncStream),
}


# Threads and tasks, alone and in batches: two of these four show each. What Python does is what all are compared with.
@pytest.fixture(params=every_run(DOORS, ("log", "threads", "tasks in batches")))
def doors(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Doors]:
    with opened(request.param, tmp_path) as doors:
        yield doors


@pytest.fixture
def python(tmp_path: Path) -> Any:
    """Return what all doors are compared with."""
    return onearm.open


@pytest.mark.parametrize(("protocol", "who"), [(protocol, who) for protocol, several in WHO.items() for who in several])
def test_all_have_the_methods_with_the_same_arguments(protocol: type, who: type) -> None:
    for name, method in vars(protocol).items():
        if name[0] == "_":
            continue
        own = inspect.getattr_static(who, name, None)
        if isinstance(method, property):
            assert isinstance(own, property) or name in inspect.get_annotations(who), name
            continue
        wanted, given = inspect.signature(method).parameters, inspect.signature(own).parameters
        assert list(wanted) == [one for one in given if one in wanted], name
        assert {one: given[one].kind for one in wanted} == {one: wanted[one].kind for one in wanted}, name
        further = [given[one] for one in given if one not in wanted]
        assert all(one.default is not inspect.Parameter.empty for one in further), name


def test_weights_of_features(doors: Doors, python: Any) -> None:
    context = {"kind": "features", "bits": 10}
    here = {"policy": "squarecb", "arms": ["a", "b"], "context": context, "seed": 3}
    engine, twin = doors.open(**here), python(**here)
    for step in range(8):
        shown = {"q": {"_text": ["red", "blue"][step % 2]}}
        for one in (engine, twin):
            one.learn(one.decide(shown), float(step % 2))
    found = engine.weights(3)
    assert found == twin.weights(3)
    assert {weight.name for weight in found.shared} == {"q.red", "q.blue"} and found.unnamed == []
    with pytest.raises(InvalidInput, match="top is"):
        engine.weights(0)


def test_arms(doors: Doors, python: Any) -> None:
    here = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.5}}, "arms": ["a", "b", "c"], "seed": 3}
    engine, twin = doors.open(**here), python(**here)
    for step in range(8):
        eligible = ["a", "c"] if step % 3 == 0 else None
        decision, same = engine.decide(eligible=eligible), twin.decide(eligible=eligible)
        assert (decision.action_id, decision.propensity) == (same.action_id, same.propensity)
        engine.learn(decision, float(step % 2))
        twin.learn(same, float(step % 2))
    assert engine.digest() == twin.digest()


def test_all_that_could_be_chosen_is_ranked(doors: Doors, python: Any) -> None:
    here: dict[str, Any] = {"policy": "exp3_ix", "arms": ["a", "b", "c"], "seed": 3}
    engine, twin = doors.open(**here), python(**here)
    for step in range(4):
        eligible = ["a", "c"] if step == 3 else None
        decision, same = engine.decide(eligible=eligible, rank=True), twin.decide(eligible=eligible, rank=True)
        found = {one.action_id: one.probability for one in decision.ranking}
        assert decision.ranking == same.ranking
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert (found.keys(), sum(found.values())) == (set(eligible or "abc"), pytest.approx(1.0))
        assert found[decision.action_id] == decision.propensity
        engine.learn(decision, 1.0)
        twin.learn(same, 1.0)
    assert engine.decide().ranking == []
    twin.decide()
    assert engine.digest() == twin.digest()
    listed: dict[str, Any] = {"policy": "uniform", "actions": 1}
    engine = doors.open(**listed)
    offer = [{"id": "x", "features": [1.0]}, {"id": "y", "features": [0.5]}]
    assert [one.action_id for one in engine.decide(actions=offer, rank=True).ranking] == ["x", "y"]


def test_many_arms_at_once(doors: Doors, python: Any) -> None:
    here = {"policy": "epsilon_greedy", "arms": 4, "context": 2, "seed": 1}
    here["policy"] = {"name": "linear_greedy", "params": {"epsilon": 0.5}}
    engine, twin = doors.open(**here), python(**here)
    contexts = np.arange(12.0).reshape(6, 2)
    batch, same = engine.decide_many(contexts), twin.decide_many(contexts)
    assert len(batch) == 6
    assert batch.action_id == same.action_id
    assert list(batch.propensity) == list(same.propensity)
    engine.learn_many(batch, [0.0, 1.0, 0.5, 0.0, 1.0, 0.5])
    twin.learn_many(same, [0.0, 1.0, 0.5, 0.0, 1.0, 0.5])
    assert engine.digest() == twin.digest()
    one = engine.decide(np.array([1.0, 2.0]), unit_id="somebody")
    assert one.action_id == twin.decide([1.0, 2.0], unit_id="somebody").action_id


def test_actions_of_the_call_with_named_features(doors: Doors, python: Any) -> None:
    policy = {"name": "linear_greedy", "params": {"epsilon": 0.3}}
    here: dict[str, Any] = {"policy": policy, "context": {"kind": "features", "bits": 10}, "actions": {"max": 5}}
    engine, twin = doors.open(**here), python(**here)
    for step in range(5):
        call = {"actions": [{"id": f"i{i}", "price": i + step} for i in range(3)]}
        decision, same = engine.decide({"age": step}, **call), twin.decide({"age": step}, **call)
        assert (decision.action_id, decision.propensity) == (same.action_id, same.propensity)
        engine.learn(decision, 1.0)
        twin.learn(same, 1.0)
    assert engine.digest() == twin.digest()


def test_costs_and_states(doors: Doors, python: Any) -> None:
    inner = {"name": "squarecb", "params": {}}
    paced = {"name": "paced_budget", "params": {"policy": inner, "cost": [0.1, 1.0], "limit": 0.5}}
    here: dict[str, Any] = {"policy": paced, "arms": 2, "feedback": "cost"}
    engine, twin = doors.open(**here), python(**here)
    for cost in (0.2, None, 0.4):
        engine.learn(engine.decide(), 1.0, cost)
        twin.learn(twin.decide(), 1.0, cost)
    assert engine.digest() == twin.digest()
    moved: dict[str, Any] = {"arms": 2, "states": ["near", "far"]}
    engine, twin = doors.open(**moved), python(**moved)
    for state, following in (("near", "far"), ("far", "near")):
        engine.learn(engine.decide(state=state, begins=state == "near"), 0.5, next_state=following)
        twin.learn(twin.decide(state=state, begins=state == "near"), 0.5, next_state=following)
    engine.learn(engine.decide(state="near"), 1.0, ended=True)
    twin.learn(twin.decide(state="near"), 1.0, ended=True)
    assert engine.digest() == twin.digest()


def test_the_world_is_told_to_have_changed(doors: Doors, python: Any) -> None:
    here: dict[str, Any] = {"policy": {"name": "adaptive", "params": {"policy": {"name": "ucb1"}}}, "arms": 2}
    engine, twin = doors.open(**here), python(**here)
    for one in (engine, twin):
        one.learn(one.decide(), 1.0)
        one.world_changed()
        one.learn(one.decide(), 0.0)
        one.false_alarm()
    assert engine.digest() == twin.digest()


def test_lists(doors: Doors, python: Any) -> None:
    policy = {"name": "linear_greedy", "params": {"epsilon": 0.5}}
    here: dict[str, Any] = {"policy": policy, "arms": 5, "context": 2, "slots": {"max": 3, "length": 1}, "seed": 4}
    engine, twin = doors.open(**here), python(**here)
    asked = [{"id": "top", "features": [1.0]}, {"id": "side", "features": np.array([0.5]), "excluded_actions": ["0"]}]
    for step in range(6):
        given = (asked, [float(step), 1.0], None if step % 2 else ["0", "1", "2", "4"])
        shelf, same = engine.decide(*given, unit_id=f"u{step}"), twin.decide(*given, unit_id=f"u{step}")
        assert shelf.action_ids == same.action_ids
        assert shelf.propensity == pytest.approx(same.propensity)
        assert list(shelf.slots) == ["top", "side"]
        for slot_id, slot in same.slots.items():
            assert (shelf.slots[slot_id].action_id, shelf.slots[slot_id].propensity) == (
                slot.action_id,
                slot.propensity,
            )
        rewards: Any = 0.5 if step % 3 == 0 else {"side": 1.0}
        engine.learn(shelf, rewards)
        twin.learn(same, rewards)
    assert engine.digest() == twin.digest()


def test_lists_are_told_too_that_the_world_has_changed(doors: Doors, python: Any) -> None:
    adaptive = {"name": "adaptive", "params": {"policy": {"name": "ucb1"}}}
    here: dict[str, Any] = {"policy": adaptive, "arms": 3, "slots": 2}
    engine, twin = doors.open(**here), python(**here)
    for one in (engine, twin):
        one.learn(one.decide(), 1.0)
        one.world_changed()
        one.learn(one.decide(), {"1": 0.0})
        one.false_alarm()
    assert engine.digest() == twin.digest()


def test_what_is_wrong_with_a_list_is_the_same_error(doors: Doors) -> None:
    engine = doors.open(policy="ucb1", arms=["a", "b"], slots=2)
    for call, code in (
        (lambda: engine.decide("ab"), "bad_slot"),
        (lambda: engine.decide(["x", "x"]), "duplicate_slot"),
        (lambda: engine.decide(["x", "y", "z"]), "too_many_slots"),
        (lambda: engine.decide(eligible=["a"]), "too_few_actions"),
    ):
        with pytest.raises(InvalidInput) as refused:
            call()
        assert refused.value.code == code
    with pytest.raises(InvalidInput, match="it must be a list of ids"):
        engine.decide(eligible=5)
    shelf = engine.decide()
    for rewards, code in (({"nobody": 1.0}, "unknown_slot"), (math.nan, "bad_reward"), ({"0": math.inf}, "bad_reward")):
        with pytest.raises(InvalidInput) as refused:
            engine.learn(shelf, rewards)
        assert refused.value.code == code
    engine.learn(shelf, {"0": 1.0})
    engine.learn(shelf, {"1": 0.0})


def test_vectors(doors: Doors, python: Any) -> None:
    engine, twin = doors.open(domain=ball(2)), python(domain=ball(2))
    for gradient in ([-3.0, 4.0], [1.0, 0.0]):
        decision, same = engine.decide(), twin.decide()
        assert decision.point.tolist() == same.point.tolist()
        engine.learn(decision, loss=1.0, gradient=np.array(gradient))
        twin.learn(same, loss=1.0, gradient=gradient)
    assert engine.certificate == twin.certificate
    assert engine.report().regret == twin.report().regret
    assert engine.digest() == twin.digest()


def test_vectors_of_two_points_and_of_examples(doors: Doors, python: Any) -> None:
    around = {"name": "point_gradient", "params": {"policy": {"name": "gradient_descent"}}}
    two: dict[str, Any] = {"policy": around, "domain": ball(2), "feedback": "two_rewards", "horizon": 10}
    engine, twin = doors.open(**two), python(**two)
    decision, same = engine.decide(), twin.decide()
    assert decision.point.tolist() == same.point.tolist()
    assert decision.point.shape == (2, 2)
    assert math.isnan(decision.propensity)
    assert math.isnan(engine.certificate.bound)
    engine.learn(decision, loss=[0.5, 0.25])
    twin.learn(same, loss=[0.5, 0.25])
    assert engine.digest() == twin.digest()
    known: dict[str, Any] = {"policy": "implicit_omd", "domain": ball(2), "feedback": "example"}
    engine, twin = doors.open(**known), python(**known)
    engine.learn(engine.decide(), loss=0.5, example=([1.0, 2.0], 0.5))
    twin.learn(twin.decide(), loss=0.5, example=([1.0, 2.0], 0.5))
    assert engine.digest() == twin.digest()


def test_queries(doors: Doors, python: Any) -> None:
    here: dict[str, Any] = {"policy": "uniform_budget", "task": onearm.thresholds(3), "horizon": 12}
    engine, twin = doors.open(**here), python(**here)
    several, same = engine.ask_many(3), twin.ask_many(3)
    assert several.query_id == same.query_id
    engine.tell_many(several, [1, 1, -1])
    twin.tell_many(same, [1, 1, -1])
    while engine.left:
        query, other = engine.ask(), twin.ask()
        assert query.query_id == other.query_id
        engine.tell(query, 1 if int(query.query_id) < 2 else -1)
        twin.tell(other, 1 if int(other.query_id) < 2 else -1)
    assert (engine.budget, engine.answered, engine.left) == (12, 12, 0)
    assert engine.recommend() == twin.recommend()
    assert engine.digest() == twin.digest()
    with pytest.raises(InvalidInput, match="open is 5: it must be a list of ids"):
        engine.ask(open=5)
    with pytest.raises(Conflict) as refused:
        engine.ask()
    assert refused.value.code == "budget_spent"


def test_streams(doors: Doors) -> None:
    stream = doors.stream(trials=200, arms=3)
    rates = {"plain": 0.2, "witty": 0.7, "short": 0.4}
    stream.offer("plain")
    arm, n = stream.ask()
    assert arm == "plain"
    stream.tell(arm, rates[arm] * n, n)
    with pytest.raises(Conflict):
        stream.tell("witty", 1.0, 1)
    stream.offer("witty")
    arm, n = stream.ask()
    assert arm == "witty"
    stream.tell(arm, rates[arm] * n, n)
    stream.close()
    stream.commit()


def test_rewards_are_waited_for(doors: Doors) -> None:
    if doors.door == "python":
        with pytest.raises(InvalidInput, match="need a log"):
            doors.open(arms=["a", "b"], reward={"wait_time": "1h"})
        return
    engine = doors.open(policy="ucb1", arms=["a", "b"], reward={"wait_time": "1h"})
    decision = engine.decide()
    engine.learn(decision, 1.0, reward_id="x")
    engine.learn(decision, 1.0, reward_id="x")
    engine.learn(decision, 0.5, reward_id="y")
    assert [one.value for one in engine.record(decision).outcomes] == [1.0, 0.5]
    assert engine.about().rewards == 0


def test_what_is_wrong_is_the_same_error(doors: Doors) -> None:
    engine = doors.open(policy="ucb1", arms=["a", "b"])
    with pytest.raises(InvalidInput) as refused:
        engine.decide(eligible=["nobody"])
    assert refused.value.code == "unknown_action"
    assert "nobody" in refused.value.seen
    assert refused.value.remedy
    with pytest.raises(InvalidInput, match="eligible is 5: it must be a list of ids"):
        engine.decide(eligible=5)
    with pytest.raises(InvalidInput):
        engine.decide(eligible=[["a"]])
    listed = doors.open(policy="uniform", actions=1)
    for wrong in ([1], 5, "ab", [{"features": [1.0]}], [None]):
        with pytest.raises(InvalidInput):
            listed.decide(actions=wrong)
    decision = engine.decide()
    with pytest.raises(InvalidInput) as refused:
        engine.learn(decision, math.nan)
    assert refused.value.code == "bad_reward"
    with pytest.raises(InvalidInput):
        doors.open(arms="ab")
    with pytest.raises(InvalidInput):
        doors.open(policy="no_such_policy")
