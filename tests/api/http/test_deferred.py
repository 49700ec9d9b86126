"""Decisions that are made before they are shown: the wait begins with the activation, or nothing is learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import assert_problem, assert_refused, log_of
from support.windowed import GRACE, Windowed, assert_clean, learned

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.errors import Unavailable
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, CLOSED_BY_REWARD, DEFERRED, DONE, LAPSED
from onearm.engine.vocabulary import ACTIVATION, DECIDE, LEARN


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        served.create(reward={"wait_time": "10s", "default": 0, "late": "record"})
        yield served


def defer(served: Windowed, **body: Any) -> str:
    answer = served.decide({"defer_activation": True, **body})
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["decision_id"]
    return name


def activate(served: Windowed, name: str) -> str:
    answer = served.post(f"/v1/experiments/e/decisions/{name}:activate")
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["status"]
    return found


def send(served: Windowed, name: str, value: float) -> str:
    answer = served.reward(name, value)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["status"]
    return found


def told(served: Windowed) -> tuple[int, int]:
    report = served.report()
    return report["open"], report["never_shown"]


def test_the_wait_begins_with_the_activation(served: Windowed) -> None:
    first = defer(served)
    second = served.decide().json()["decision_id"]
    served.pass_time(9)
    assert [activate(served, first), activate(served, first)] == ["activated", "duplicate"]
    served.pass_time(1)
    assert learned(served) == {1: (0.0, CLOSED_BY_DEFAULT)}, "the other one closes before it"
    assert told(served) == (1, 0)
    served.pass_time(8.9)
    assert send(served, first, 1.0) == "accepted"
    served.pass_time(0.1)
    assert learned(served) == {1: (0.0, CLOSED_BY_DEFAULT), 0: (1.0, CLOSED_BY_REWARD)}
    assert send(served, second, 1.0) == "late"
    assert told(served) == (0, 0)
    assert served.record(first).json()["activation"]["status"] == "activated"
    assert "activation" not in served.record(second).json()
    assert_clean(served)


def test_one_that_is_never_shown_is_not_learned_and_closes_as_that(served: Windowed) -> None:
    name = defer(served)
    assert send(served, name, 1.0) == "accepted", "it may come before the activation"
    assert served.record(name).json()["activation"]["status"] == "deferred"
    served.clock.seconds = 10.0
    says = assert_refused(served.post(f"/v1/experiments/e/decisions/{name}:activate"), 409, "late")
    assert "10s" in says["detail"]
    served.close_due()
    assert learned(served) == {}
    assert told(served) == (0, 1)
    assert_refused(served.post(f"/v1/experiments/e/decisions/{name}:activate"), 409, "late")
    assert served.reward(name, {"value": 1.0, "reward_id": "x"}).json()["status"] == "late"
    assert served.record(name).json()["activation"]["status"] == "never_shown"
    details = [event.detail for event in log_of(served.store, "e")[1] if event.kind == ACTIVATION]
    assert details == [DEFERRED, LAPSED]
    served.restart()
    served.pass_time(GRACE + 10)
    assert told(served) == (0, 1)
    assert_clean(served)


def test_it_is_on_record_with_the_decision(served: Windowed, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[int]] = []
    append = served.store.append

    def seen(events: Any, *rest: Any) -> None:
        batches.append([event.kind for event in events])
        append(events, *rest)

    monkeypatch.setattr(served.store, "append", seen)
    defer(served)
    assert batches == [[DECIDE, ACTIVATION]]


def test_windows_close_in_the_order_in_which_they_began(served: Windowed) -> None:
    names = [defer(served) for _ in range(4)]
    for name in (names[2], names[0], names[3]):
        served.pass_time(2)
        activate(served, name)
    served.pass_time(100)
    events = log_of(served.store, "e")[1]
    assert [(event.number, event.kind, event.detail) for event in events[11:]] == [
        (1, ACTIVATION, LAPSED),
        (2, LEARN, CLOSED_BY_DEFAULT),
        (0, LEARN, CLOSED_BY_DEFAULT),
        (3, LEARN, CLOSED_BY_DEFAULT),
    ]
    assert told(served) == (0, 1)
    assert_clean(served)


@pytest.mark.parametrize("passed", [3, 7, 11, 15])
def test_a_start_in_the_middle_loses_no_window(served: Windowed, passed: int) -> None:
    names = [defer(served) for _ in range(3)]
    served.decide()
    served.pass_time(5)
    activate(served, names[1])
    served.pass_time(passed)
    before = told(served)
    served.restart()
    assert told(served) == before
    if passed < 5:
        activate(served, names[0])
    served.pass_time(GRACE + 10)
    found = learned(served)
    assert sorted(found) == ([0, 1, 3] if passed < 5 else [1, 3])  # type: ignore[type-var]
    assert told(served) == (0, 1 if passed < 5 else 2)
    assert_clean(served)


def test_many_are_closed_from_the_log_where_memory_has_no_room(tmp_path: Path) -> None:
    with Windowed(tmp_path, cache_bytes=0) as served:
        served.create(reward={"wait_time": "10s", "default": 0})
        for n in range(60):
            served.decide({"defer_activation": True} if n % 2 else {})
        served.pass_time(5)
        for n in range(59, 0, -4):
            activate(served, f"~{n}")
        assert told(served) == (60, 0)
        served.pass_time(5)
        assert told(served) == (15, 15)
        served.restart()
        assert told(served) == (15, 15)
        served.pass_time(GRACE + 5)
        assert told(served) == (0, 15)
        assert len(learned(served)) == 45
        assert_clean(served)


def test_an_activation_that_could_not_be_committed_did_not_happen(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = defer(served)

    def failing(*batch: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: try again")

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "append", failing)
        assert_problem(served.post(f"/v1/experiments/e/decisions/{name}:activate").json(), 503, "commit_failed")
    live = served.service.live("e")
    while live.unusable is not None:
        pass
    assert served.record(name).json()["activation"]["status"] == "deferred"
    assert activate(served, name) == "activated"
    served.pass_time(GRACE + 10)
    assert learned(served) == {0: (0.0, CLOSED_BY_DEFAULT)}


@pytest.mark.parametrize("early", [False, True])
def test_an_erasure_leaves_the_count_of_open_windows(served: Windowed, early: bool) -> None:
    served.decide()
    name = defer(served, unit_id="ann")
    other = defer(served)
    served.pass_time(5)
    activate(served, name)
    activate(served, other)
    if not early:
        served.pass_time(6)  # their decisions are gone past
    served.post("/v1/experiments/e:erase", {"unit_id": "ann"})
    served.pass_time(20)
    assert told(served) == (0, 0)
    assert sorted(learned(served)) == [0, 2]  # type: ignore[type-var]
    details = [event.detail for event in log_of(served.store, "e")[1] if event.kind == ACTIVATION]
    assert details == [DEFERRED, DEFERRED, DONE, DONE]
    served.restart()
    served.pass_time(GRACE + 1)
    assert told(served) == (0, 0)
    assert not any(map(has_fault, verified(served.url)))


def test_an_export_is_the_same_experiment_elsewhere(served: Windowed) -> None:
    names = [defer(served) for _ in range(3)]
    served.pass_time(5)
    activate(served, names[1])
    served.pass_time(5)
    defer(served)
    export = served.get("/v1/experiments/e/log").content
    answer = served.post("/v1/experiments:import?experiment_id=copy", export)
    assert answer.status_code == 201, answer.text
    assert {**served.report("copy"), "experiment_id": "e"} == served.report()
    served.pass_time(GRACE + 10)
    assert {**served.report("copy"), "experiment_id": "e"} == served.report()
    assert served.report("copy")["never_shown"] == 3
    assert_clean(served)


def test_what_cannot_be_deferred_or_activated_is_refused(served: Windowed) -> None:
    served.create("plain")
    answer = served.post("/v1/experiments/plain/decisions", {"defer_activation": True})
    assert "wait_time" in assert_refused(answer, 422, "unexpected_field")["detail"]
    name = served.decide().json()["decision_id"]
    assert_refused(served.post(f"/v1/experiments/e/decisions/{name}:activate"), 409, "not_deferred")
    assert_refused(served.post("/v1/experiments/e/decisions/~9:activate"), 404, "unknown_decision")
    name = defer(served)
    served.post("/v1/experiments/e:archive")
    assert_refused(served.post(f"/v1/experiments/e/decisions/{name}:activate"), 409, "archived")
