"""What was shown was not what was decided: it is learned as a decision of somebody else, and the other one is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import assert_refused, log_of
from support.windowed import GRACE, Windowed, assert_clean

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.storage.database import read_rows
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, CLOSED_BY_REWARD, SHOWN
from onearm.engine.vocabulary import ACTIVATION, DECIDE, EXTERNAL, LEARN


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        served.create(reward={"wait_time": "10s", "default": 0, "aggregation": "sum"})
        yield served


def defer(served: Windowed, name: str, **body: Any) -> str:
    """Decide, and return an action that was not decided."""
    answer = served.decide({"decision_id": name, "defer_activation": True, **body})
    assert answer.status_code == 201, answer.text
    return "b" if answer.json()["action_id"] == "a" else "a"


def activate(served: Windowed, name: str, action_id: str, propensity: float | None = None) -> Any:
    body = {"action_id": action_id} | ({} if propensity is None else {"propensity": propensity})
    return served.post(f"/v1/experiments/e/decisions/{name}:activate", body)


def learned(served: Windowed) -> list[tuple[int | None, int | None, float | None, float | None, str | None]]:
    events = log_of(served.store, "e")[1]
    return [(e.number, e.action, e.propensity, e.reward, e.detail) for e in events if e.kind == LEARN]


@pytest.mark.parametrize("propensity", [None, 0.25])
def test_the_action_that_was_shown_is_learned(served: Windowed, propensity: float | None) -> None:
    other = defer(served, "d")
    assert served.reward("d", {"value": 0.25, "reward_id": "x"}).json()["status"] == "accepted"
    served.pass_time(5)
    assert activate(served, "d", other, propensity).json()["status"] == "activated"
    assert activate(served, "d", other, propensity).json()["status"] == "duplicate"
    assert served.reward("d", {"value": 0.5, "reward_id": "y"}).json()["status"] == "accepted"
    assert served.reward("d", {"value": 0.25, "reward_id": "x"}).json()["status"] == "duplicate"
    served.pass_time(10)
    assert learned(served) == [(1, "ab".index(other), propensity, 0.75, CLOSED_BY_REWARD)]
    report = served.report()
    assert (report["replaced"], report["open"], report["rewards"]) == (1, 0, 1)
    assert {arm["arm_id"] for arm in report["arms"] if arm["rewards"]} == {other}
    record = served.record("d").json()
    assert (record["reward"], record["activation"]["status"], record["activation"]["shown"]) == (None, "replaced", "~1")
    shown = served.record("~1").json()
    assert (shown["action_id"], shown["propensity"], shown["given"]) == (other, propensity, True)
    served.restart()
    assert served.report() == report
    assert_clean(served)


def test_whoever_evaluates_reads_what_was_shown_where_its_propensity_is_known(served: Windowed) -> None:
    others = [defer(served, f"d{n}") for n in range(3)]
    for n, (other, propensity) in enumerate(zip(others, (0.25, None, 0.5), strict=True)):
        activate(served, f"d{n}", other, propensity)
    served.pass_time(10)
    live = served.service.live("e")
    with read_rows(served.store, live.row.key, live.problem, Wanted()) as rows:
        columns = rows.columns()
    assert columns.action.tolist() == ["ab".index(other) for other in (others[0], others[2])]
    assert columns.propensity.tolist() == [0.25, 0.5]
    assert rows.notes == ["left out: 1 decision made by somebody else, as nobody knows with which propensity"]


def test_silence_is_the_default_of_what_was_shown(served: Windowed) -> None:
    other = defer(served, "d")
    activate(served, "d", other)
    served.pass_time(10)
    assert learned(served) == [(1, "ab".index(other), None, 0.0, CLOSED_BY_DEFAULT)]


def test_saying_what_was_decided_is_no_other_action(served: Windowed) -> None:
    defer(served, "d", eligible_actions=["a", "b"])
    decided = served.record("d").json()["action_id"]
    assert activate(served, "d", decided).json()["status"] == "activated"
    assert served.post("/v1/experiments/e/decisions/d:activate").json()["status"] == "duplicate"
    served.pass_time(10)
    propensity = served.record("d").json()["propensity"]
    assert learned(served) == [(0, "ab".index(decided), propensity, 0.0, CLOSED_BY_DEFAULT)]


def test_an_arm_that_joined_meanwhile_leaves_what_could_be_chosen(served: Windowed) -> None:
    other = defer(served, "d")
    served.post("/v1/experiments/e/arms", {"id": "new"})
    assert_refused(activate(served, "d", "new"), 422, "unavailable_action")
    activate(served, "d", other)
    served.pass_time(10)
    assert served.record("~1").json()["eligible_actions"] == ["a", "b", "c"]
    served.restart()
    assert_clean(served)


def test_what_contradicts_it_is_refused(served: Windowed) -> None:
    other = defer(served, "d")
    assert_refused(activate(served, "d", "nothing"), 422, "unknown_action")
    assert_refused(activate(served, "d", other, 1.5), 422, "bad_propensity")
    body = {"propensity": 0.5}
    assert_refused(served.post("/v1/experiments/e/decisions/d:activate", body), 422, "unexpected_field")
    activate(served, "d", other, 0.5)
    assert_refused(activate(served, "d", other, 0.25), 409, "activated")
    assert_refused(served.post("/v1/experiments/e/decisions/d:activate"), 409, "activated")


@pytest.mark.parametrize(
    "policy", ["tsallis_inf", 'floor:{"policy":{"name":"exp3_ix"},"minimum":0.1}', 'adaptive:{"policy":"tsallis_inf"}']
)
def test_a_policy_that_divides_by_propensities_needs_one(served: Windowed, policy: str) -> None:
    reward = {"wait_time": "10s", "default": 0, "range": [0, 1]}
    assert served.create("p", policy=policy, reward=reward).status_code == 201
    path = "/v1/experiments/p/decisions"
    decided = served.post(path, {"decision_id": "d", "defer_activation": True}).json()["action_id"]
    body: dict[str, Any] = {"action_id": "b" if decided == "a" else "a"}
    says = assert_refused(served.post(f"{path}/d:activate", body), 422, "missing_propensity")
    assert "divides" in says["detail"]
    assert served.post(f"{path}/d:activate", body | {"propensity": 0.5}).status_code == 200


def test_an_erasure_takes_both(served: Windowed) -> None:
    other = defer(served, "d", unit_id="ann")
    activate(served, "d", other)
    served.pass_time(10)
    answer = served.post("/v1/experiments/e:erase", {"decision_ids": ["d"]}).json()
    assert (answer["decisions"], answer["open"]) == (2, 1)
    events = log_of(served.store, "e")[1]
    assert {event.unit_id for event in events} == {None}
    assert [event.detail for event in events if event.kind == ACTIVATION][1].startswith(SHOWN)  # type: ignore[union-attr]
    served.restart()
    assert served.report()["replaced"] == 1
    assert not any(map(has_fault, verified(served.url)))


def test_an_export_is_the_same_experiment_elsewhere(served: Windowed) -> None:
    other = defer(served, "d")
    served.reward("d", {"value": 0.25, "reward_id": "x"})
    activate(served, "d", other, 0.25)
    served.decide()
    export = served.get("/v1/experiments/e/log").content
    assert served.post("/v1/experiments:import?experiment_id=copy", export).status_code == 201
    assert {**served.report("copy"), "experiment_id": "e"} == served.report()
    served.pass_time(GRACE + 10)
    assert {**served.report("copy"), "experiment_id": "e"} == served.report()
    bad = export.replace(b'"shown":1', b'"shown":2')
    says = assert_refused(served.post("/v1/experiments:import?experiment_id=bad", bad), 422, "missing_decision")
    assert "line 5" in says["detail"]
    events = log_of(served.store, "e")[1]
    assert [event.number for event in events if event.kind in (DECIDE, EXTERNAL)] == [0, 1, 2]
    assert_clean(served)


def test_a_correction_says_what_was_shown_in_its_place(served: Windowed) -> None:
    other = defer(served, "d")
    activate(served, "d", other)
    defer(served, "never")
    served.decide({"decision_id": "open"})
    path = "/v1/experiments/e/decisions/{}/reward"

    def says(name: str) -> str:
        told = assert_refused(served.client.put(path.format(name), content=b'{"value": 1}'), 409, "no_reward")
        detail: str = told["detail"]
        return detail

    assert "its window is open" in says("open")
    assert "shown in its place, as decision '~1'" in says("d")
    served.pass_time(10)
    assert "shown in its place, as decision '~1'" in says("d")
    assert "never shown" in says("never")
    answer = served.client.put(path.format("~1"), content=b'{"value": 0.5}')
    assert answer.json() == {"status": "accepted"}


def test_an_erasure_takes_what_is_shown_in_its_place_while_it_begins(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision in its place has its context and its unit, and a number that nobody named."""
    other = defer(served, "d", unit_id="Ann")
    defer(served, "e", unit_id="Bob")
    related, answers = served.store.related, list[Any]()

    def shown_after(*about: Any) -> list[int]:
        found = related(*about)
        if not answers:
            answers.append(activate(served, "d", other).json())
        return found

    monkeypatch.setattr(served.store, "related", shown_after)
    erased = served.post("/v1/experiments/e:erase", {"unit_id": "Ann"}).json()
    assert answers == [{"status": "activated"}]
    assert erased["decisions"] == 2
    assert_refused(served.record("~2"), 404, "unknown_decision")
    assert {event.unit_id for event in log_of(served.store, "e")[1]} == {None, "Bob"}
    served.pass_time(10)
    assert_clean(served)
