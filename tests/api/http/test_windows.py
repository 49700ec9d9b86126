"""Decisions with windows: rewards are waited for, and learned as one when the window closes; silence is a default."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.query_service import TASK
from support.served import ARMS, Served, assert_problem, assert_refused, log_of
from support.windowed import GRACE, Windowed, assert_clean, learned

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.closing import READ
from onearm.engine.errors import Unavailable
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, CLOSED_BY_REWARD, LATE
from onearm.engine.vocabulary import OUTCOME

WAIT = {"wait_time": "10s", "default": 0}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        yield served


def create(served: Windowed, **reward: Any) -> None:
    answer = served.create(reward=WAIT | reward)
    assert answer.status_code == 201, answer.text


def decide(served: Windowed, n: int = 1) -> list[str]:
    return [served.decide().json()["decision_id"] for _ in range(n)]


def status(served: Windowed, name: str, value: float, reward_id: str | None = None) -> str:
    body: dict[str, Any] = {"value": value} if reward_id is None else {"value": value, "reward_id": reward_id}
    answer = served.reward(name, body)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["status"]
    return found


def test_what_is_read_to_close_a_window_does_not_stay_in_memory(served: Windowed) -> None:
    create(served)
    decide(served, 30)
    served.restart()
    assert served.record("~7").status_code == 200  # somebody asked for this one
    served.pass_time(GRACE + 10)
    assert len(learned(served)) == 30
    assert set(served.service.live("e").records._records) == {7}
    assert_clean(served)


def test_silence_becomes_the_default_and_is_learned_once(served: Windowed) -> None:
    create(served)
    decide(served)
    served.pass_time(9.9)
    assert learned(served) == {}
    report = served.report()
    assert (report["open"], report["closed_by_default"], report["rewards"]) == (1, 0, 0)
    served.pass_time(0.1)
    served.pass_time(100)
    assert learned(served) == {0: (0.0, CLOSED_BY_DEFAULT)}
    report = served.report()
    assert (report["open"], report["closed_by_default"], report["rewards"]) == (0, 1, 1)
    assert served.record("~0").json()["reward"]["closed"] == "default"
    assert_clean(served)


@pytest.mark.parametrize(
    ("aggregation", "together"),
    [
        ("earliest", 0.5),
        ("last", 0.25),
        ("sum", 1.75),
        ("mean", 1.75 / 3),
        ("median", 0.5),
        ("min", 0.25),
        ("max", 1.0),
    ],
)
def test_several_rewards_become_one(served: Windowed, aggregation: str, together: float) -> None:
    create(served, aggregation=aggregation)
    [name] = decide(served)
    for reward_id, value in (("x", 0.5), ("y", 1.0), ("z", 0.25)):
        assert status(served, name, value, reward_id) == "accepted"
    assert learned(served) == {}, "nothing is learned before the window closes"
    served.pass_time(10)
    assert learned(served) == {0: (together, CLOSED_BY_REWARD)}
    record = served.record(name).json()
    assert (record["reward"]["value"], record["reward"]["closed"]) == (together, "reward")
    assert [(one["reward_id"], one["value"], one["late"]) for one in record["outcomes"]] == [
        ("x", 0.5, False),
        ("y", 1.0, False),
        ("z", 0.25, False),
    ]
    assert_clean(served)


def test_a_reward_is_known_by_its_id(served: Windowed) -> None:
    create(served, aggregation="sum")
    [name] = decide(served)
    assert [status(served, name, 0.5, "x"), status(served, name, 0.5, "x")] == ["accepted", "duplicate"]
    assert_refused(served.reward(name, {"value": 1.0, "reward_id": "x"}), 409, "reward_exists")
    assert [status(served, name, 0.5), status(served, name, 0.5)] == ["accepted", "duplicate"]
    assert_refused(served.reward(name, 1.0), 409, "reward_exists")
    assert_refused(served.reward("~1", 1.0), 404, "unknown_decision")
    served.pass_time(10)
    assert status(served, name, 0.5, "x") == "duplicate", "a retry is no late reward"
    assert learned(served)[0][0] == 1.0


def test_what_comes_at_the_due_time_is_late_even_if_the_closer_lags(served: Windowed) -> None:
    create(served)
    first, second = decide(served, 2)
    served.pass_time(9.999999, close=False)
    assert status(served, first, 1.0) == "accepted"
    served.clock.seconds = 10.0
    told = assert_refused(served.reward(second, 1.0), 409, "late")
    assert "10s" in told["detail"] and "record" in told["detail"]
    served.close_due()
    assert_refused(served.reward(first, {"value": 1.0, "reward_id": "x"}), 409, "late")
    assert learned(served) == {0: (1.0, CLOSED_BY_REWARD), 1: (0.0, CLOSED_BY_DEFAULT)}


def test_late_rewards_can_be_kept(served: Windowed) -> None:
    create(served, late="record")
    first, second = decide(served, 2)
    assert status(served, first, 1.0, "x") == "accepted"
    served.clock.seconds = 10.0
    assert status(served, second, 1.0) == "late", "before it is closed"
    assert [status(served, first, 0.5, "y"), status(served, first, 0.5, "y")] == ["late", "duplicate"]
    served.close_due()
    assert status(served, second, 1.0, "z") == "late"
    assert learned(served) == {0: (1.0, CLOSED_BY_REWARD), 1: (0.0, CLOSED_BY_DEFAULT)}
    assert served.report()["late"] == 3
    _, events = log_of(served.store, "e")
    assert [event.detail for event in events if event.kind == OUTCOME] == [None, LATE, LATE, LATE]
    served.restart()
    assert served.report()["late"] == 3
    assert_clean(served)


def test_in_a_batch_each_reward_is_told_what_became_of_it(served: Windowed) -> None:
    create(served, late="record")
    first, second = decide(served, 2)
    served.pass_time(5)
    third = decide(served)[0]
    served.pass_time(5)
    body = [{"decision_id": name, "value": 1.0} for name in (first, third, third, "~9")]
    answers = served.post("/v1/experiments/e/rewards:batch", {"rewards": body}).json()["rewards"]
    assert [one["status"] for one in answers[:3]] == ["late", "accepted", "duplicate"]
    assert_problem(answers[3], 404, "unknown_decision")
    assert second in served.record(second).json()["decision_id"]


def test_without_a_default_only_what_came_is_learned(served: Windowed) -> None:
    served.create(reward={"wait_time": "10s"})
    first, _, third = decide(served, 3)
    assert status(served, third, 0.5) == "accepted"
    assert status(served, first, 1.0) == "accepted"
    served.pass_time(10)
    assert learned(served) == {0: (1.0, CLOSED_BY_REWARD), 2: (0.5, CLOSED_BY_REWARD)}
    report = served.report()
    assert (report["open"], report["closed_by_default"], report["decisions"], report["rewards"]) == (0, 0, 3, 2)
    assert_refused(served.reward("~1", 1.0), 409, "late")
    served.restart()
    served.pass_time(GRACE)
    assert_refused(served.reward("~1", 1.0), 409, "late")
    assert len(learned(served)) == 2
    assert_clean(served)


@pytest.mark.parametrize("late", ["refuse", "record"])
def test_what_closed_in_silence_stays_closed_after_a_start(served: Windowed, late: str) -> None:
    served.create(reward={"wait_time": "10s", "late": late})
    spoken, *silent = decide(served, 3)
    assert status(served, spoken, 1.0) == "accepted"
    served.pass_time(11)
    after = decide(served, 2)
    for name in silent:
        served.restart()
        assert served.report()["open"] == 2, "those that were decided since"
        answer = served.reward(name, 1.0).json()
        assert answer["code" if late == "refuse" else "status"] == "late", answer
    assert status(served, after[1], 0.5) == "accepted"
    served.pass_time(GRACE + 10)
    assert (served.report()["open"], sorted(learned(served))) == (0, [0, 4])
    assert_clean(served)


@pytest.mark.covering
@pytest.mark.parametrize("erased", [0, 1])
@pytest.mark.parametrize("reward", [{"late": "record"}, {"learn": "at_once", "default": 0.1}, {"default": 0}])
def test_windows_of_what_is_erased_close_by_the_same_time_before_and_after_a_start(
    served: Windowed, reward: dict[str, Any], erased: int
) -> None:
    """They closed as soon as they were the first, and were open again after a start."""
    served.create(reward={"wait_time": "10s"} | reward)
    for names, seconds in ((("a", "b"), 6), (("c", "d"), 3), (("e", "f"), 3)):
        for name in names:
            assert served.decide({"decision_id": name}).status_code == 201
        assert served.post("/v1/experiments/e:erase", {"decision_ids": [names[erased]]}).status_code == 200
        served.pass_time(seconds)
    assert served.decide({"decision_id": "g"}).status_code == 201  # the log knows the time
    before = served.report()
    assert before["open"] == 5, "of a and b they are closed"
    served.restart()
    assert served.report() == before
    served.pass_time(GRACE + 10)
    assert served.report()["open"] == 0
    assert not any(map(has_fault, verified(served.url)))


def test_what_came_together_must_lie_in_the_range(served: Windowed) -> None:
    create(served, aggregation="sum", range=[0, 1])
    [name] = decide(served)
    assert_refused(served.reward(name, {"value": 1.5, "reward_id": "w"}), 422, "bad_reward")
    assert status(served, name, 0.75, "x") == "accepted"
    told = assert_refused(served.reward(name, {"value": 0.5, "reward_id": "y"}), 422, "bad_reward")
    assert "sum" in told["detail"] and "1.25" in told["detail"]
    assert status(served, name, 0.25, "z") == "accepted"
    served.pass_time(10)
    assert learned(served)[0][0] == 1.0


def test_means_hold_what_is_closed_in_the_order_of_decisions(served: Windowed) -> None:
    create(served)
    names = decide(served, 4)
    assert status(served, names[3], 1.0) == "accepted"
    served.pass_time(5)
    assert status(served, decide(served)[0], 1.0) == "accepted"
    assert served.report()["rewards"] == 0, "a young mean of clicks alone would be 1"
    served.pass_time(5)
    report = served.report()
    assert (report["rewards"], report["reward_mean"], report["open"]) == (4, 0.25, 1)


def test_who_sets_the_clock_closes_nothing(served: Windowed) -> None:
    create(served)
    decide(served)
    served.clock.set_by = 3600.0
    served.close_due()
    assert learned(served) == {}
    served.clock.set_by = -3600.0
    decide(served)
    served.pass_time(10)
    assert len(learned(served)) == 2
    times = [event.time for event in log_of(served.store, "e")[1]]
    assert times == sorted(times)


def test_after_a_start_the_time_of_an_experiment_goes_on(served: Windowed) -> None:
    create(served)
    decide(served)
    served.clock.set_by = -3600.0
    served.restart()
    decide(served)
    served.pass_time(10)
    assert len(learned(served)) == 2
    times = [event.time for event in log_of(served.store, "e")[1]]
    assert times == sorted(times)


def test_rewards_that_could_not_come_meanwhile_come_first_after_a_start(served: Windowed) -> None:
    create(served)
    first, second = decide(served, 2)
    assert status(served, first, 0.5, "x") == "accepted"
    served.stop()
    served.clock.seconds += 60
    served.start()
    served.close_due()
    assert learned(served) == {}
    assert status(served, second, 1.0) == "accepted"
    assert status(served, first, 0.5, "x") == "duplicate"
    third = decide(served)[0]
    served.pass_time(GRACE)
    assert learned(served) == {0: (0.5, CLOSED_BY_REWARD), 1: (1.0, CLOSED_BY_REWARD)}
    served.pass_time(10)
    assert status_of(served, third) == CLOSED_BY_DEFAULT
    assert_clean(served)


def status_of(served: Windowed, name: str) -> str | None:
    return learned(served)[int(name[1:])][1]


def test_after_a_start_windows_close_piece_by_piece(served: Windowed) -> None:
    create(served)
    served.post("/v1/experiments/e/decisions:batch", {"decisions": [{}] * 100})
    served.restart()
    served.pass_time(GRACE + 10)
    assert (len(learned(served)), served.report()["open"]) == (100, 0)


def test_windows_of_an_archived_experiment_close_once_it_is_restored(served: Windowed) -> None:
    create(served)
    [name] = decide(served)
    served.post("/v1/experiments/e:archive")
    served.pass_time(100)
    assert learned(served) == {}
    assert_refused(served.reward(name, 1.0), 409, "archived")
    served.post("/v1/experiments/e:restore")
    served.close_due()
    assert status(served, name, 1.0) == "accepted"
    served.pass_time(GRACE)
    assert learned(served) == {0: (1.0, CLOSED_BY_REWARD)}
    assert_clean(served)


def test_a_commit_that_fails_leaves_windows_open(served: Windowed) -> None:
    create(served)
    decide(served, 3)
    append = served.store.append

    def failing(*batch: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: try again")

    served.store.append = failing  # type: ignore[method-assign]
    served.pass_time(10)
    served.store.append = append  # type: ignore[method-assign]
    live = served.service.live("e")
    while live.unusable is not None:
        pass
    assert learned(served) == {}
    assert status(served, "~1", 1.0) == "accepted", "time in which nothing could be committed does not count"
    served.pass_time(GRACE)
    assert learned(served) == {n: (float(n == 1), CLOSED_BY_REWARD if n == 1 else CLOSED_BY_DEFAULT) for n in range(3)}
    assert_clean(served)


def test_open_windows_are_read_from_the_log_where_memory_has_no_room(tmp_path: Path) -> None:
    with Windowed(tmp_path, cache_bytes=0) as served:
        create(served, aggregation="sum")
        body = {"decisions": [{} for _ in range(READ + 7)]}
        served.post("/v1/experiments/e/decisions:batch", body)
        for value, reward_id in ((0.5, "x"), (0.25, "y")):
            told = [{"decision_id": f"~{n}", "value": value, "reward_id": reward_id} for n in range(0, READ, 3)]
            answers = served.post("/v1/experiments/e/rewards:batch", {"rewards": told}).json()["rewards"]
            assert answers == [{"status": "accepted"}] * len(told)
        served.pass_time(10)
        found = learned(served)
        assert [found[n][0] for n in range(READ + 7)] == [
            0.75 if n % 3 == 0 and n < READ else 0.0 for n in range(READ + 7)
        ]
        assert_clean(served)


def test_examples_of_others_have_their_reward_and_no_window(served: Windowed) -> None:
    create(served)
    decide(served)
    example = {"action_id": "a", "value": 1.0, "propensity": 0.5, "decision_id": "theirs"}
    answer = served.post("/v1/experiments/e/examples:batch", {"examples": [example]})
    assert answer.json()["examples"][0]["status"] == "accepted"
    assert_refused(served.reward("theirs", 1.0), 409, "reward_exists")
    decide(served)
    served.pass_time(10)
    assert learned(served) == {0: (0.0, CLOSED_BY_DEFAULT), 1: (1.0, None), 2: (0.0, CLOSED_BY_DEFAULT)}
    served.restart()
    assert served.report()["closed_by_default"] == 2
    assert_clean(served)


def test_an_erasure_in_the_middle_of_a_window_leaves_the_others(served: Windowed) -> None:
    create(served, late="record")
    names = [served.decide({"unit_id": unit}).json()["decision_id"] for unit in ("ann", "bob", "ann", "bob")]
    for name in names[:2]:
        assert status(served, name, 1.0, "x") == "accepted"
    served.pass_time(10)
    assert status(served, names[0], 1.0, "y") == "late"
    later = [served.decide({"unit_id": unit}).json()["decision_id"] for unit in ("ann", "bob")]
    assert status(served, later[0], 1.0, "x") == "accepted"
    answer = served.post("/v1/experiments/e:erase", {"unit_id": "ann"})
    assert answer.json() == {"experiment_id": "e", "decisions": 3, "events": 8, "open": 1}
    served.pass_time(10)
    found = learned(served)
    assert sorted(n for n in found if n is not None) == [0, 1, 2, 3, 5]
    assert served.report()["closed_by_default"] == 3
    served.restart()
    assert served.report()["closed_by_default"] == 3
    assert served.report()["late"] == 1
    assert not any(map(has_fault, verified(served.url)))


def test_a_base_in_the_middle_of_windows_changes_nothing(served: Windowed) -> None:
    create(served, aggregation="mean")
    names = decide(served, 6)
    assert status(served, names[4], 1.0, "x") == "accepted"
    served.pass_time(5)
    decide(served, 2)
    served.pass_time(5)
    assert served.post("/v1/experiments/e:compact", {}).status_code == 200
    served.restart()
    served.pass_time(GRACE + 5)
    assert {n: reward for n, (reward, _) in learned(served).items()} == {n: float(n == 4) for n in range(8)}
    assert served.report()["closed_by_default"] == 7
    assert not any(map(has_fault, verified(served.url)))


def test_an_export_is_the_same_experiment_elsewhere(served: Windowed) -> None:
    create(served, aggregation="last", late="record")
    names = decide(served, 4)
    assert status(served, names[0], 0.25, "x") == "accepted"
    assert status(served, names[3], 1.0) == "accepted"
    served.pass_time(6)
    decide(served, 2)
    served.pass_time(6)
    assert status(served, names[0], 0.5, "y") == "late"
    export = served.get("/v1/experiments/e/log").content
    answer = served.post("/v1/experiments:import?experiment_id=copy", export)
    assert answer.status_code == 201, answer.text
    assert served.digest("copy") == served.digest("e")
    told = served.report("copy")
    assert {**told, "experiment_id": "e"} == served.report("e")
    assert (told["open"], told["late"], told["closed_by_default"]) == (2, 1, 2)
    served.pass_time(GRACE + 10)
    assert served.report("copy")["closed_by_default"] == 4
    assert_clean(served)


def test_the_block_is_told_in_full_and_a_spec_without_it_has_none(served: Windowed) -> None:
    create(served)
    said = {"wait_time": "10s", "default": 0.0, "learn": "at_close", "aggregation": "earliest", "late": "refuse"}
    assert served.get("/v1/experiments/e").json()["reward"] == said
    assert served.create(reward={"default": 0.0, **WAIT}).status_code == 200, "it is the same experiment"
    served.create("plain", policy="ucb1_any")
    found = served.get("/v1/experiments/plain").json()
    assert "reward" not in found
    assert "open" not in served.report("plain")


@pytest.mark.parametrize(
    ("reward", "code", "says"),
    [
        ({"default": 0}, "bad_window", "wait_time"),
        ({"late": "record"}, "bad_window", "wait_time"),
        ({"wait_time": "401d"}, "bad_window", "400d"),
        ({"wait_time": "0s"}, "bad_window", "1s"),
        ({"wait_time": 30}, "bad_window", "30m"),
        ({"wait_time": "2s", "default": 7, "range": [0, 1]}, "bad_window", "[0, 1]"),
        ({"wait_time": "2s", "default": "x"}, "bad_window", "default"),
        ({"wait_time": "2s", "aggregation": "product"}, "bad_window", "median"),
        ({"wait_time": "2s", "aggregation": ["sum"]}, "bad_window", "median"),
        ({"wait_time": "2s", "learn": "never"}, "bad_window", "at_close or at_once"),
        ({"wait_time": "2s", "late": "learn"}, "bad_window", "default"),
    ],
)
def test_what_a_window_cannot_be_is_refused(standing: Served, reward: Any, code: str, says: str) -> None:
    told = assert_refused(standing.create(reward=reward), 422, code)
    assert says in told["detail"]


@pytest.mark.parametrize(
    "problem",
    [
        {"kind": "vector", "domain": {"kind": "ball", "dimension": 2}},
        {"kind": "arm_stream"},
        {"kind": "queries", "horizon": 10, **TASK},
    ],
)
def test_other_kinds_refuse_windows_by_name(served: Windowed, problem: Any) -> None:
    body = {"experiment_id": "o", "problem": problem, "reward": WAIT}
    assert_refused(served.post("/v1/experiments", body), 422, "unexpected_field")


def test_a_warning_where_only_one_value_ever_comes(served: Windowed, caplog: pytest.LogCaptureFixture) -> None:
    create(served)
    served.create("clicks", arms=ARMS)
    with caplog.at_level(logging.WARNING, "onearm"):
        for n in range(105):
            served.decide({}, "clicks")
            if n == 99:
                assert "warnings" not in served.report("clicks")
            served.reward(f"~{n}", 1.0, "clicks")
    [warning] = served.report("clicks")["warnings"]
    assert "send zeros" in warning and "reward.default" in warning
    assert served.get("/v1/experiments/clicks/diagnostics").json()["warnings"] == [warning]
    assert sum("send zeros" in record.message for record in caplog.records) == 1
    served.decide({}, "clicks")
    served.reward("~105", 0.0, "clicks")
    assert "warnings" not in served.report("clicks")
    served.post("/v1/experiments/e/decisions:batch", {"decisions": [{} for _ in range(100)]})
    served.pass_time(10)
    [warning] = served.report()["warnings"]
    assert "all 100 rewards so far are 0" in warning and "see that rewards are sent" in warning
