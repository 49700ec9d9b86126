"""Sticky over HTTP: answers and records say what is a repeat; it is the same after a restart and an import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import ARMS, assert_refused
from support.windowed import Windowed

import onearm
from onearm.api.cli.verify import has_fault, verified

E = "/v1/experiments/e"
STICKY = {"name": "sticky", "params": {"policy": {"name": "exp3_ix", "params": {}}, "seconds": 60, "units_max": 50}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        yield served


def create(served: Windowed, policy: dict[str, Any] = STICKY, **fields: Any) -> None:
    answer = served.create(policy=policy, **fields)
    assert answer.status_code == 201, answer.text


def decide(served: Windowed, unit_id: str | None, **said: Any) -> dict[str, Any]:
    answer = served.decide(said if unit_id is None else {"unit_id": unit_id, **said})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def given(decided: dict[str, Any]) -> tuple[str, float]:
    return decided["action_id"], decided["propensity"]


def visits(served: Windowed, n: int) -> list[dict[str, Any]]:
    """Let five units and nobody decide in turn, every third with a reward, a second apart."""
    made = []
    for i in range(n):
        made.append(decide(served, None if i % 6 == 5 else f"u{i % 6}"))
        if i % 3:
            served.reward(made[-1]["decision_id"], (i % 4) / 4)
        served.pass_time(1)
    return made


def test_a_repeat_says_so_in_the_answer_and_on_record(served: Windowed) -> None:
    create(served)
    first, again, other, nobody = (decide(served, unit) for unit in ("ann", "ann", "bob", None))
    assert given(again) == given(first)
    assert again["sticky"] is True
    assert not any("sticky" in one for one in (first, other, nobody))
    for one in (first, again, other, nobody):
        for _ in range(2):
            record = served.record(one["decision_id"]).json()
            assert record.get("sticky") == one.get("sticky")
            assert "ranking" not in record and "explanation" not in record
            served.service.live("e").records.clear()  # then it is read from the log
    page = served.get(f"{E}/units/ann/decisions").json()["decisions"]
    assert [one.get("sticky") for one in page] == [None, True]


def test_a_time_that_is_over_and_an_arm_that_is_not_eligible_draw_anew(served: Windowed) -> None:
    create(served)
    first = decide(served, "ann")
    served.pass_time(59)
    assert decide(served, "ann")["sticky"]
    served.pass_time(1)
    assert "sticky" not in decide(served, "ann")
    kept = given(decide(served, "ann"))
    without = decide(served, "ann", excluded_actions=[kept[0]])
    assert without["action_id"] != kept[0] and "sticky" not in without
    assert decide(served, "ann")["sticky"] and given(decide(served, "ann")) == given(without)
    assert served.post(f"{E}/arms/{without['action_id']}:retire").status_code == 200
    assert decide(served, "ann")["action_id"] not in (None, without["action_id"])
    assert first["propensity"] == pytest.approx(1 / 3)


def test_an_explanation_of_a_repeat_is_one_of_what_was_given(served: Windowed) -> None:
    create(served, {"name": "sticky", "params": {"policy": {"name": "floor", "params": {"policy": "ucb1"}}}})
    first, again = decide(served, "ann"), decide(served, "ann", explain=True)
    assert again["sticky"] and given(again) == given(first)
    told = {each["action_id"]: each["probability"] for each in again["ranking"]}
    assert told == {arm["id"]: first["propensity"] if arm["id"] == first["action_id"] else 0.0 for arm in ARMS}
    record = served.record(again["decision_id"]).json()
    assert (record["sticky"], record["ranking"]) == (True, again["ranking"])


def test_a_restart_an_import_and_a_base_go_on_with_the_same_map(served: Windowed) -> None:
    create(served)
    made = visits(served, 40)
    digest = served.digest()
    log = served.get(f"{E}/log").content
    assert served.post("/v1/experiments:import?experiment_id=f", log).status_code == 201
    served.restart()
    assert (served.digest(), served.digest("f")) == (digest, digest)
    assert not any(map(has_fault, verified(served.url)))
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    assert given(decide(served, "u1")) == given(made[37])
    late = next(one for i, one in enumerate(made) if i % 3 == 0)
    assert served.reward(late["decision_id"], 1.0).status_code == 200
    visits(served, 20)
    digest = served.digest()
    served.restart()
    assert served.digest() == digest
    assert not any(map(has_fault, verified(served.url)))


def test_python_decides_the_same_for_the_same_units_and_times(served: Windowed) -> None:
    create(served)
    made = visits(served, 70)
    events = {event.number: event for event in served.events() if event.kind == 0}
    rewards = {event.number: event.reward for event in served.events() if event.kind == 1}
    engine = onearm.open(STICKY, arms=[arm["id"] for arm in ARMS], seed=5)
    many = onearm.open(STICKY, arms=[arm["id"] for arm in ARMS], seed=5)
    for number, wanted in enumerate(made):
        unit_id, time = events[number].unit_id, events[number].time
        one = engine.decide(unit_id=unit_id, time=time)
        rows = many.decide_many(1, unit_ids=[unit_id], time=time)
        assert (one.action_id, one.propensity) == given(wanted)
        assert (rows.action_id[0], rows.propensity[0]) == given(wanted)
        if number in rewards:
            engine.learn(one, rewards[number])
            many.learn_many([number], [rewards[number]])
    assert engine.digest() == many.digest() == served.digest()


def test_units_beyond_the_room_are_counted_in_diagnostics(served: Windowed) -> None:
    create(served, {"name": "sticky", "params": {"policy": "uniform", "units_max": 2}})
    for unit in ("a", "b", "c", "c", "a"):
        decide(served, unit)
    told = served.get(f"{E}/diagnostics").json()["constants"]
    found = [told[name]["value"] for name in ("units_kept", "units_max", "decisions_not_kept")]
    assert found == [2, 2, 2]


def test_actions_that_come_with_the_call_are_refused_with_what_to_do(served: Windowed) -> None:
    problem = {"context": {"kind": "dense", "length": 2}, "actions": {"kind": "listed", "length": 2}}
    body = {"experiment_id": "e", "problem": problem, "policy": {"name": "sticky", "params": {"policy": "squarecb"}}}
    assert_refused(served.post("/v1/experiments", body), 422, "policy_does_not_fit")
