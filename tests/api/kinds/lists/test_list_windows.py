"""Windows of lists: each slot has one, which all begin together; what never comes is the default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.served import assert_refused
from support.shelves import create_lists, fill
from support.slow_steps import Held, slow
from support.windowed import Windowed, assert_clean, learned

from onearm.engine.storage.records import Event
from onearm.engine.vocabulary import LEARN, OUTCOME

WINDOW = {"reward": {"wait_time": "60s", "default": 0.0}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        create_lists(served, **WINDOW)
        yield served


def test_a_slot_that_never_gets_its_reward_gets_the_default(served: Windowed) -> None:
    fill(served, decision_id="page")
    said = {"slots": [{"id": "s1", "value": 1.0}]}
    assert served.reward("page", said).json() == {"status": "accepted"}
    assert served.reward("page", said).json() == {"status": "duplicate"}
    assert learned(served) == {}
    served.pass_time(61)
    assert {number: reward for number, (reward, _) in learned(served).items()} == {0: 0.0, 1: 1.0, 2: 0.0, 3: 0.0}
    report = served.report()
    assert (report["closed_by_default"], report["open"]) == (3, 0)
    assert [slot["reward"]["closed"] for slot in served.record("page").json()["slots"]] == [
        "default",
        "reward",
        "default",
        "default",
    ]
    served.restart()
    assert_clean(served)


def test_what_one_slot_refuses_is_taken_of_none(served: Windowed) -> None:
    fill(served, decision_id="page")
    served.reward("page", {"slots": [{"id": "s3", "value": 1.0}]})
    before = served.everything()
    said = {"slots": [{"id": "s0", "value": 1.0}, {"id": "s3", "value": 0.5}]}
    assert_refused(served.reward("page", said), 409, "reward_exists")
    assert served.everything() == before
    served.pass_time(61)
    before = served.everything()
    assert_refused(served.reward("page", {"value": 1.0, "reward_id": "late"}), 409, "late")
    assert served.everything() == before
    assert_refused(served.reward("soon", 1.0), 404, "unknown_decision")


def test_rewards_that_are_late_are_on_record_of_each_slot(served: Windowed) -> None:
    create_lists(served, experiment_id="late", reward=WINDOW["reward"] | {"late": "record"})
    body = {"context": [1.0, 0.5], "slots": [{"id": "x", "features": [1.0]}], "decision_id": "page"}
    assert served.decide(body, "late").status_code == 201
    served.pass_time(61)
    assert served.reward("page", 1.0, "late").json() == {"status": "late"}
    assert served.record("page", "late").json()["slots"][0]["outcomes"][0]["late"] is True


def test_a_list_that_waits_to_be_shown_is_activated_whole(served: Windowed) -> None:
    fill(served, decision_id="page", defer_activation=True)
    fill(served, decision_id="never", defer_activation=True)
    served.pass_time(30)
    path = "/v1/experiments/e/decisions/page:activate"
    assert_refused(served.post(path, {"action_id": "a"}), 422, "not_built")
    assert_refused(served.post("/v1/experiments/e/decisions/~1:activate"), 409, "part_of_a_list")
    assert served.post(path).json() == {"status": "activated"}
    assert served.post(path).json() == {"status": "duplicate"}
    served.pass_time(31)
    assert served.reward("page", {"slots": [{"id": "s0", "value": 1.0}]}).json() == {"status": "accepted"}
    served.pass_time(30)
    assert {number: reward for number, (reward, _) in learned(served).items()} == {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}
    assert served.report()["never_shown"] == 4
    served.restart()
    assert_clean(served)


def test_what_is_learned_at_once_is_learned_of_each_slot(served: Windowed) -> None:
    create_lists(served, experiment_id="now", reward=WINDOW["reward"] | {"learn": "at_once"})
    body = {"context": [1.0, 0.5], "slots": [{"id": "x", "features": [1.0]}, {"id": "y", "features": [0.0]}]}
    made = served.decide(body, "now").json()
    served.reward(made["decision_id"], 1.0, "now")
    slots = served.record(made["decision_id"], "now").json()["slots"]
    assert [(slot["reward"]["value"], slot["reward"]["closed"]) for slot in slots] == [(1.0, "at_once")] * 2


def test_a_late_reward_of_a_slot_takes_the_place_of_the_default(served: Windowed) -> None:
    create_lists(served, experiment_id="late", reward=WINDOW["reward"] | {"late": "learn"})
    body = {"context": [1.0, 0.5], "slots": [{"id": "x", "features": [1.0]}, {"id": "y", "features": [0.0]}]}
    made = served.decide(body, "late").json()
    served.pass_time(61)
    said = {"slots": [{"id": "y", "value": 1.0}]}
    assert served.reward(made["decision_id"], said, "late").json() == {"status": "late"}
    slots = served.record(made["decision_id"], "late").json()["slots"]
    assert [[one["value"] for one in slot.get("corrections", [])] for slot in slots] == [[], [1.0]]


@pytest.fixture
def commits(served: Windowed, monkeypatch: pytest.MonkeyPatch) -> list[list[Event]]:
    """The events of each commit, which writes one entry, as where many others write at the same time."""
    monkeypatch.setattr("onearm.api.service.writer.BATCH_MAX", 1)
    written: list[list[Event]] = []
    append = served.store.append

    def noted(events: list[Event], *more: Any) -> None:
        written.append(events)
        append(events, *more)

    monkeypatch.setattr(served.store, "append", noted)
    return written


def test_rewards_of_several_slots_are_one_transaction(served: Windowed, commits: list[list[Event]]) -> None:
    fill(served, decision_id="page")
    commits.clear()
    assert served.reward("page", 1.0).json() == {"status": "accepted"}
    assert [len(events) for events in commits] == [4]
    served.pass_time(61)
    served.restart()
    assert_clean(served)


def decided_now(served: Windowed, commits: list[list[Event]]) -> None:
    """Decide a list "both" of two slots in an experiment "now", whose rewards are learned at once; count from there."""
    create_lists(served, experiment_id="now", reward=WINDOW["reward"] | {"learn": "at_once"})
    body = {"context": [1.0, 0.5], "slots": [{"id": "x", "features": [1.0]}, {"id": "y", "features": [0.0]}]}
    assert served.decide(body | {"decision_id": "both"}, "now").status_code == 201
    commits.clear()


def test_they_are_where_each_is_learned_at_once_and_takes_long(
    served: Windowed, commits: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the second waits, the rewards of a list of another experiment come, and are one transaction as well."""
    fill(served, decision_id="page")
    decided_now(served, commits)
    _, update = slow(served, monkeypatch, "now")
    held = Held(update.call, free=1)
    monkeypatch.setattr(update, "call", held)
    with ThreadPoolExecutor(1) as pool:
        both = pool.submit(served.reward, "both", 1.0, "now")
        assert held.begun.wait(60)
        assert served.reward("page", 1.0).json() == {"status": "accepted"}
        held.let_go.set()
        assert both.result(60).json() == {"status": "accepted"}
    assert [[event.kind for event in events] for events in commits] == [[OUTCOME] * 4, [OUTCOME, OUTCOME, LEARN, LEARN]]
    served.restart()
    assert_clean(served)
    served.assert_consistent("now")


def test_where_their_window_ends_between_two_that_take_long_all_of_them_came_in_time(
    served: Windowed, commits: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_now(served, commits)
    _, update = slow(served, monkeypatch, "now")
    held = Held(update.call)
    monkeypatch.setattr(update, "call", held)
    with ThreadPoolExecutor(1) as pool:
        both = pool.submit(served.reward, "both", 1.0, "now")
        assert held.begun.wait(60)
        served.pass_time(61, close=False)
        held.let_go.set()
        assert both.result(60).json() == {"status": "accepted"}
    assert [[event.kind for event in events] for events in commits] == [[OUTCOME, OUTCOME, LEARN, LEARN]]
    served.restart()
    served.assert_consistent("now")
    assert served.get("/v1/experiments/now").json()["rewards"] == 2


def failing_at(call: Callable[..., Any], nth: int) -> Callable[..., Any]:
    """Return the same, which fails at one of its calls."""
    left = [nth]

    def failing(*given: Any, **named: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise ValueError("a policy fails")
        return call(*given, **named)

    return failing


def test_where_the_policy_fails_at_the_second_both_are_on_record_and_can_be_sent_again(
    served: Windowed, commits: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_now(served, commits)
    update = served.service.live("now")._update
    with monkeypatch.context() as patched:
        patched.setattr(update, "call", failing_at(update.call, 2))
        assert served.reward("both", 1.0, "now").status_code == 500
    assert served.client.portal is not None
    served.client.portal.call(served.service.writer.drain)  # the answer did not wait for what is on record
    served.assert_consistent("now")
    assert [[event.kind for event in events] for events in commits] == [[OUTCOME, OUTCOME, LEARN]]
    assert served.reward("both", 1.0, "now").json() == {"status": "duplicate"}
    served.restart()
    served.assert_consistent("now")
    assert served.get("/v1/experiments/now").json()["rewards"] == 2
