"""Rewards before their decisions: on record at once, held as long as a window is open, and taken with the decision."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.served import assert_problem, assert_refused, log_of
from support.windowed import GRACE, Windowed, assert_clean, learned

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service import early
from onearm.api.service.live import Live
from onearm.engine.errors import Unavailable
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, CLOSED_BY_REWARD
from onearm.engine.vocabulary import DECIDE, EARLY, OUTCOME


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        served.create(reward={"wait_time": "10s", "default": 0, "aggregation": "sum", "range": [0, 1]})
        yield served


def send(served: Windowed, name: str, value: float, reward_id: str | None = None, status: int = 202) -> str:
    body: dict[str, Any] = {"value": value} if reward_id is None else {"value": value, "reward_id": reward_id}
    answer = served.reward(name, body)
    assert answer.status_code == status, answer.text
    found: str = answer.json()["status"]
    return found


def decide(served: Windowed, name: str) -> None:
    assert served.decide({"decision_id": name}).status_code == 201


def told(served: Windowed) -> tuple[int, int]:
    report = served.report()
    return report["early"], report["lapsed"]


def test_an_early_reward_is_its_decisions_as_soon_as_that_is_made(served: Windowed) -> None:
    assert send(served, "d", 0.5, "x") == "early"
    assert send(served, "d", 0.25, "y") == "early"
    assert told(served) == (2, 0)
    served.pass_time(9)
    decide(served, "d")
    assert told(served) == (0, 0)
    assert [event.kind for event in log_of(served.store, "e")[1]] == [EARLY, EARLY, DECIDE, OUTCOME, OUTCOME]
    assert send(served, "d", 0.25, status=200) == "accepted"
    outcomes = served.record("d").json()["outcomes"]
    assert [(one["reward_id"], one["value"]) for one in outcomes] == [("x", 0.5), ("y", 0.25), (None, 0.25)]
    served.pass_time(10)
    assert learned(served) == {0: (1.0, CLOSED_BY_REWARD)}
    assert_clean(served)


def test_decisions_are_numbered_from_nothing_though_rewards_came_before_all(served: Windowed) -> None:
    served.post("/v1/experiments/e/arms", {"id": "new"})
    send(served, "d", 0.5, "x")
    send(served, "e", 0.25, "y")
    served.restart()
    assert (served.report()["decisions"], served.report()["open"]) == (0, 0)
    decide(served, "e")
    assert served.record("e").json()["number"] == 0
    served.pass_time(GRACE + 10)
    assert learned(served) == {0: (0.25, CLOSED_BY_REWARD)}
    assert_clean(served)


def test_the_decision_and_its_early_rewards_are_written_together(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(served, "d", 0.5)
    batches: list[list[int]] = []
    append = served.store.append

    def seen(events: Any, *rest: Any) -> None:
        batches.append([event.kind for event in events])
        append(events, *rest)

    monkeypatch.setattr(served.store, "append", seen)
    decide(served, "d")
    assert batches == [[DECIDE, OUTCOME]]


def test_it_is_known_by_its_id_before_and_after_the_decision(served: Windowed) -> None:
    assert [send(served, "d", 0.5, "x"), send(served, "d", 0.5, "x", 200)] == ["early", "duplicate"]
    assert_refused(served.reward("d", {"value": 1.0, "reward_id": "x"}), 409, "reward_exists")
    decide(served, "d")
    assert send(served, "d", 0.5, "x", 200) == "duplicate"
    assert_refused(served.reward("d", {"value": 1.0, "reward_id": "x"}), 409, "reward_exists")


def test_what_is_held_together_must_lie_in_the_range(served: Windowed) -> None:
    send(served, "d", 0.75, "x")
    says = assert_refused(served.reward("d", {"value": 0.5, "reward_id": "y"}), 422, "bad_reward")
    assert "1.25" in says["detail"]


def test_only_ids_that_clients_make_may_come_before_their_decisions(served: Windowed) -> None:
    assert_refused(served.reward("~0", 1.0), 404, "unknown_decision")
    served.create("plain")
    assert_refused(served.post("/v1/experiments/plain/decisions/d/reward", {"value": 1}), 404, "unknown_decision")


def test_without_its_decision_it_lapses_and_is_told(served: Windowed) -> None:
    send(served, "d", 1.0)
    served.pass_time(5)
    send(served, "later", 1.0)
    served.pass_time(5)
    assert told(served) == (1, 1)
    decide(served, "d")
    assert served.record("d").json()["outcomes"] == []
    served.pass_time(10)
    assert learned(served) == {0: (0.0, CLOSED_BY_DEFAULT)}
    assert told(served) == (0, 2)
    served.restart()
    assert told(served) == (0, 2)
    assert_clean(served)


def test_after_a_start_what_was_held_is_held(served: Windowed) -> None:
    send(served, "made", 1.0)
    decide(served, "made")
    send(served, "d", 0.5, "x")
    served.stop()
    served.clock.seconds += 60
    served.start()
    assert told(served) == (1, 0), "time in which no decision could come does not count"
    assert send(served, "d", 0.5, "x", 200) == "duplicate"
    decide(served, "d")
    served.pass_time(GRACE + 10)
    assert learned(served) == {0: (1.0, CLOSED_BY_REWARD), 1: (0.5, CLOSED_BY_REWARD)}
    served.restart()
    assert told(served) == (0, 0)
    assert_clean(served)


def test_what_could_not_be_committed_is_not_held(served: Windowed, monkeypatch: pytest.MonkeyPatch) -> None:
    send(served, "d", 0.25, "x")

    def failing(*batch: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: try again")

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "append", failing)
        assert_refused(served.reward("d", {"value": 0.5, "reward_id": "y"}), 503, "commit_failed")
    live = served.service.live("e")
    while live.unusable is not None:
        pass
    assert told(served) == (1, 0)
    decide(served, "d")
    served.pass_time(GRACE + 10)
    assert learned(served) == {0: (0.25, CLOSED_BY_REWARD)}


def test_no_more_are_held_than_there_is_room_for(served: Windowed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "HELD_MAX", 2)
    send(served, "c", 1.0)
    send(served, "d", 1.0)
    says = assert_refused(served.reward("e", 1.0), 503, "too_many_early")
    assert "2 rewards" in says["detail"]
    decide(served, "c")
    assert send(served, "e", 1.0) == "early"


def test_in_a_batch_each_is_told_what_became_of_it(served: Windowed) -> None:
    decide(served, "d")
    body = [{"decision_id": name, "value": 1.0} for name in ("d", "e", "e", "~9")]
    answers = served.post("/v1/experiments/e/rewards:batch", {"rewards": body}).json()["rewards"]
    assert [one["status"] for one in answers[:3]] == ["accepted", "early", "duplicate"]
    assert_problem(answers[3], 404, "unknown_decision")


def test_an_example_of_its_name_leaves_it_to_lapse(served: Windowed) -> None:
    send(served, "d", 1.0)
    example = {"action_id": "a", "value": 0.5, "propensity": 0.5, "decision_id": "d"}
    answer = served.post("/v1/experiments/e/examples:batch", {"examples": [example]})
    assert answer.json()["examples"][0]["status"] == "accepted"
    served.pass_time(10)
    assert told(served) == (0, 1)
    assert learned(served) == {0: (0.5, None)}
    assert_clean(served)


def test_an_erasure_takes_what_came_before_the_decision(served: Windowed) -> None:
    send(served, "d", 1.0, "secret")
    send(served, "other", 1.0, "kept")
    decide(served, "d")
    served.pass_time(10)
    answer = served.post("/v1/experiments/e:erase", {"decision_ids": ["d"]}).json()
    assert (answer["decisions"], answer["events"], answer["open"]) == (1, 4, 0)
    events = log_of(served.store, "e")[1]
    assert [event.reward_id for event in events] == [None, "kept", None, None, None]
    assert "d" not in [event.decision_id for event in events]
    assert [event.detail for event in events if event.number == -1] == [None]
    assert told(served) == (0, 1)
    served.restart()
    assert told(served) == (0, 1)
    found = verified(served.url)
    assert not any(map(has_fault, found))
    assert [one["blank"] for one in found if "blank" in one] == [1]


def folds_again(served: Windowed) -> None:
    """Let a commit fail, and wait until the log is folded again."""
    live, append = served.service.live("e"), served.store.append

    def failing(*given: Any) -> None:
        served.store.append = append  # type: ignore[method-assign]
        raise Unavailable("commit_failed", "the disk is full: make room")

    served.store.append = failing  # type: ignore[method-assign]
    assert_refused(served.decide(), 503, "commit_failed")
    deadline = time.monotonic() + 30
    while live.unusable is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_being_erased_is_not_held_again_where_a_commit_fails(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is folded again then, and still has it."""
    send(served, "d", 1.0, "secret")
    live, move_base = served.service.live("e"), served.service.compactions.move_base

    def failed() -> None:
        assert live.erasing
        folds_again(served)
        assert_refused(served.decide({"decision_id": "d"}), 503, "erasing")

    async def moved(live: Live) -> None:
        await asyncio.to_thread(failed)
        await move_base(live)

    monkeypatch.setattr(served.service.compactions, "move_base", moved)
    assert served.post("/v1/experiments/e:erase", {"decision_ids": ["d"]}).status_code == 200
    decide(served, "d")
    assert served.record("d").json()["outcomes"] == []
    assert [event.kind for event in log_of(served.store, "e")[1]] == [EARLY, DECIDE]
    served.restart()
    assert_clean(served)


@pytest.mark.parametrize(("again", "folded"), [(False, False), (True, False), (False, True)])
def test_what_an_erasure_that_fails_would_have_taken_is_held_again(
    served: Windowed, monkeypatch: pytest.MonkeyPatch, again: bool, folded: bool
) -> None:
    async def failing(live: Live) -> None:
        if folded:
            await asyncio.to_thread(folds_again, served)
        for tried in (partial(served.reward, "d", 0.5), partial(served.decide, {"decision_id": "d"})):
            assert_refused(await asyncio.to_thread(tried), 503, "erasing")
        raise Unavailable("commit_failed", "the disk is full: make room")

    send(served, "d", 1.0)
    with monkeypatch.context() as patched:
        patched.setattr(served.service.compactions, "move_base", failing)
        path, said = "/v1/experiments/e:erase", {"decision_ids": ["d"]}
        assert_refused(served.post(path, said), 503, "commit_failed")
    if again:
        assert served.post(path, said).status_code == 200
    decide(served, "d")
    outcomes = served.record("d").json()["outcomes"]
    assert [one["value"] for one in outcomes] == ([] if again else [1.0])
    served.restart()
    assert_clean(served)


def test_an_export_is_the_same_experiment_elsewhere(served: Windowed) -> None:
    send(served, "d", 0.25, "x")
    decide(served, "d")
    served.pass_time(5)
    send(served, "later", 0.5)
    export = served.get("/v1/experiments/e/log").content
    answer = served.post("/v1/experiments:import?experiment_id=copy", export)
    assert answer.status_code == 201, answer.text
    assert {**served.report("copy"), "experiment_id": "e"} == served.report()
    served.post("/v1/experiments/copy/decisions", {"decision_id": "later"})
    assert served.report("copy")["early"] == 0
    served.pass_time(GRACE + 10)
    assert served.report("copy")["reward_mean"] == 0.375
    assert_clean(served)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"early":1', b'"early":2'), (b'"reward":0.25,"reward_id":"x","early"', b'"reward":0.5,"reward_id":"x","early"')],
)
def test_an_import_refuses_early_rewards_that_never_came(served: Windowed, old: bytes, new: bytes) -> None:
    send(served, "d", 0.25, "x")
    decide(served, "d")
    export = served.get("/v1/experiments/e/log").content
    assert old in export
    answer = served.post("/v1/experiments:import?experiment_id=copy", export.replace(old, new))
    assert "line 4" in assert_refused(answer, 422, "missing_early")["detail"]


@pytest.mark.parametrize("lapsed", [False, True])
def test_an_erasure_takes_rewards_whose_decision_never_came(served: Windowed, lapsed: bool) -> None:
    send(served, "ann-7", 0.5, "x")
    send(served, "ann-7", 0.25, "y")
    send(served, "bob-1", 0.25, "z")
    if lapsed:
        served.pass_time(11)
        told(served)
    answer = served.post("/v1/experiments/e:erase", {"decision_ids": ["ann-7"]}).json()
    assert (answer["decisions"], answer["events"], answer["open"]) == (0, 2, 0)
    events = log_of(served.store, "e")[1]
    assert "ann-7" not in str(events)
    assert [event.reward_id for event in events] == [None, None, "z"]
    assert told(served) == ((0, 3) if lapsed else (1, 2))
    decide(served, "ann-7")
    assert served.record("ann-7").json()["outcomes"] == []
    served.restart()
    assert served.get("/v1/experiments/e/log").status_code == 200
    assert not any(map(has_fault, verified(served.url)))


def test_an_erasure_of_a_decision_takes_what_had_lapsed_before_it(served: Windowed) -> None:
    send(served, "d", 0.5, "x")
    served.pass_time(11)
    assert served.decide({"decision_id": "d", "unit_id": "ann"}).status_code == 201
    assert served.post("/v1/experiments/e:erase", {"unit_id": "ann"}).json()["events"] == 2
    assert all(event.detail is None and event.reward_id is None for event in log_of(served.store, "e")[1])
