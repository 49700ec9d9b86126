"""A reward may say which action was really shown: it is the activation and the reward in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import assert_problem, assert_refused, log_of
from support.windowed import GRACE, Windowed, assert_clean

import onearm
from onearm.api.cli.verify import has_fault, verified
from onearm.api.http import windowed
from onearm.api.service.records import Record
from onearm.engine.errors import OnearmError
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, CLOSED_BY_REWARD, LEARNED_AT_ONCE
from onearm.engine.vocabulary import LEARN

D = "/v1/experiments/e/decisions"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        served.create(reward={"wait_time": "10s", "default": 0, "aggregation": "sum", "range": [0, 1]})
        yield served


def decide(served: Windowed, name: str = "d", experiment_id: str = "e", **body: Any) -> str:
    """Decide, and return an action that was not decided."""
    answer = served.decide({"decision_id": name, **body}, experiment_id)
    assert answer.status_code == 201, answer.text
    return "b" if answer.json()["action_id"] == "a" else "a"


def body(value: float, action_id: str, reward_id: str | None = None, propensity: float | None = None) -> dict[str, Any]:
    told = {"reward_id": reward_id, "propensity": propensity}
    return {"value": value, "action_id": action_id} | {name: one for name, one in told.items() if one is not None}


def learned(served: Windowed) -> list[tuple[int | None, int | None, float | None, float | None, str | None]]:
    events = log_of(served.store, "e")[1]
    return [(e.number, e.action, e.propensity, e.reward, e.detail) for e in events if e.kind == LEARN]


@pytest.mark.parametrize("propensity", [None, 0.25])
@pytest.mark.parametrize("deferred", [False, True])
def test_the_action_that_was_shown_is_learned(served: Windowed, propensity: float | None, deferred: bool) -> None:
    other = decide(served, defer_activation=deferred)
    said = body(0.25, other, "x", propensity)
    assert served.reward("d", said).json() == {"status": "accepted"}
    assert served.reward("d", said).json() == {"status": "duplicate"}
    assert served.reward("d", {"value": 0.5, "reward_id": "y"}).json() == {"status": "accepted"}
    assert served.reward("d", body(0.125, other, "z", propensity)).json() == {"status": "accepted"}
    assert_refused(served.reward("d", body(0.5, other, "x", propensity)), 409, "reward_exists")
    served.pass_time(10)
    assert learned(served) == [(1, "ab".index(other), propensity, 0.875, CLOSED_BY_REWARD)]
    assert served.record("d").json()["activation"]["shown"] == "~1"
    report = served.report()
    assert (report["replaced"], report["open"], report["rewards"]) == (1, 0, 1)
    served.restart()
    assert served.report() == report
    assert_clean(served)


@pytest.mark.parametrize("meanwhile", ["its window ends", "too much waits to be written"])
@pytest.mark.parametrize("deferred", [False, True])
def test_what_was_shown_is_on_record_with_the_reward_or_not_at_all(
    served: Windowed, monkeypatch: pytest.MonkeyPatch, deferred: bool, meanwhile: str
) -> None:
    """What the reward is refused for is looked at before, once, with the time that the window begins at."""

    def put_then(*given: Any) -> Record:
        found = put_on_record(*given)
        if meanwhile == "its window ends":
            served.clock.seconds += 11
        else:
            monkeypatch.setattr("onearm.api.service.writer.WAITING_MAX", 1)
        return found

    other, put_on_record = decide(served, defer_activation=deferred), windowed.put_on_record
    with monkeypatch.context() as patched:
        patched.setattr(windowed, "put_on_record", put_then)
        assert served.reward("d", body(0.25, other)).json() == {"status": "accepted"}
    served.pass_time(11)
    assert [(number, reward) for number, _, _, reward, _ in learned(served)] == [(1, 0.25)]
    assert_clean(served)


def test_saying_what_was_decided_is_no_other_action(served: Windowed) -> None:
    decide(served)
    decided = served.record("d").json()["action_id"]
    assert served.reward("d", body(0.5, decided)).json() == {"status": "accepted"}
    decide(served, "deferred", defer_activation=True, eligible_actions=["a", "b"])
    decided = served.record("deferred").json()["action_id"]
    assert served.reward("deferred", body(0.25, decided)).json() == {"status": "accepted"}
    assert served.record("deferred").json()["activation"]["status"] == "activated"
    served.pass_time(10)
    assert [(number, reward) for number, _, _, reward, _ in learned(served)] == [(0, 0.5), (1, 0.25)]
    assert served.report()["replaced"] == 0
    assert_clean(served)


def test_what_contradicts_it_is_refused_and_nothing_is_written(served: Windowed) -> None:
    other = decide(served)
    decided = served.record("d").json()["action_id"]
    before = len(served.events())
    assert_refused(served.reward("d", body(7.0, other)), 422, "bad_reward")
    assert_refused(served.reward("d", body(0.5, "nothing")), 422, "unknown_action")
    assert_refused(served.reward("d", body(0.5, other, propensity=1.5)), 422, "bad_propensity")
    assert_refused(served.reward("d", {"value": 0.5, "propensity": 0.5}), 422, "unexpected_field")
    assert_refused(served.reward("soon", body(0.5, other)), 409, "not_made")
    assert len(served.events()) == before
    served.reward("d", body(0.5, other, "x"))
    before = len(served.events())
    for second in (body(0.25, decided, "y"), body(0.25, "c", "y"), body(0.25, other, "y", 0.5)):
        assert_refused(served.reward("d", second), 409, "other_action")
    assert_refused(served.reward("~1", body(0.25, decided, "y")), 409, "other_action")
    assert_refused(served.post(f"{D}/d:activate", {"action_id": decided}), 409, "activated")
    assert len(served.events()) == before


def test_a_reward_that_came_without_it_holds_for_what_was_decided(served: Windowed) -> None:
    other = decide(served)
    served.reward("d", 0.5)
    assert_refused(served.reward("d", body(0.25, other, "y")), 409, "other_action")
    other = decide(served, "deferred", defer_activation=True)
    assert served.reward("deferred", {"value": 0.5, "reward_id": "x"}).json() == {"status": "accepted"}
    assert served.reward("deferred", body(0.5, other, "x")).json() == {"status": "duplicate"}
    assert served.record("deferred").json()["activation"]["shown"] == "~2"
    served.pass_time(10)
    assert [(number, reward) for number, _, _, reward, _ in learned(served)] == [(0, 0.5), (2, 0.5)]
    assert_clean(served)


def test_it_comes_too_late_once_the_window_is_closed(served: Windowed) -> None:
    served.create("kept", reward={"wait_time": "10s", "default": 0, "late": "record"})
    for name in ("e", "kept"):
        other = decide(served, experiment_id=name)
        served.pass_time(10, close=False)
        assert_refused(served.reward("d", body(0.5, other), name), 409, "late")
    served.close_due()
    assert [detail for *_, detail in learned(served)] == [CLOSED_BY_DEFAULT]


def test_in_a_batch_one_by_one(served: Windowed) -> None:
    others = [decide(served, f"d{n}") for n in range(3)]
    rewards = [{"decision_id": f"d{n}", **body(0.5, other)} for n, other in enumerate(others)]
    rewards[1]["action_id"] = "nothing"
    told = served.post("/v1/experiments/e/rewards:batch", {"rewards": rewards}).json()["rewards"]
    assert [told[0], told[2]] == [{"status": "accepted"}] * 2
    assert_problem(told[1], 422, "unknown_action")
    served.pass_time(10)
    assert [(one[0], one[3]) for one in learned(served)] == [(1, 0.0), (3, 0.5), (4, 0.5)]


def test_a_policy_that_divides_by_propensities_needs_one(served: Windowed) -> None:
    reward = {"wait_time": "10s", "default": 0, "range": [0, 1]}
    served.create("p", policy="tsallis_inf", reward=reward)
    other = decide(served, experiment_id="p")
    assert_refused(served.reward("d", body(0.5, other), "p"), 422, "missing_propensity")
    assert served.reward("d", body(0.5, other, propensity=0.5), "p").json() == {"status": "accepted"}


def test_it_is_learned_at_once_where_that_is_declared(served: Windowed) -> None:
    served.create("now", reward={"wait_time": "10s", "default": 0, "learn": "at_once"})
    other = decide(served, experiment_id="now")
    assert served.reward("d", body(0.5, other, "x"), "now").json() == {"status": "accepted"}
    events = log_of(served.store, "now")[1]
    assert [(e.number, e.reward, e.detail) for e in events if e.kind == LEARN] == [(1, 0.5, LEARNED_AT_ONCE)]
    assert_refused(served.reward("d", body(0.5, "c", "y"), "now"), 409, "other_action")
    served.pass_time(10)
    assert not any(map(has_fault, verified(served.url)))


def test_whoever_waits_for_no_rewards_and_other_kinds_refuse_it(served: Windowed) -> None:
    served.create("plain")
    other = decide(served, experiment_id="plain")
    says = assert_refused(served.reward("d", body(0.5, other), "plain"), 422, "unexpected_field")
    assert "wait_time" in says["detail"]
    problem = {"kind": "queries", "task": "thresholds", "queries": 2, "horizon": 4, "answers": "normal"}
    new = {"experiment_id": "q", "problem": problem, "policy": "uniform_budget"}
    assert served.post("/v1/experiments", new).status_code == 201
    name = served.decide(experiment_id="q").json()["decision_id"]
    assert_refused(served.reward(name, body(0.5, "0"), "q"), 422, "bad_body")


def test_an_export_is_the_same_experiment_elsewhere(served: Windowed) -> None:
    other = decide(served)
    served.reward("d", body(0.25, other, "x", 0.25))
    export = served.get("/v1/experiments/e/log").content
    assert served.post("/v1/experiments:import?experiment_id=copy", export).status_code == 201
    served.pass_time(GRACE + 10)
    assert {**served.report("copy"), "experiment_id": "e"} == served.report()
    assert served.digest("copy") == served.digest()
    assert_clean(served)


def test_python_learns_the_same(served: Windowed) -> None:
    reward = {"wait_time": "10s", "learn": "at_once", "range": [0, 1]}
    served.create("now", reward=reward, policy="exp3_ix")
    engine = onearm.open("exp3_ix", ["a", "b", "c"], seed=5, reward_range=(0, 1))
    for n in range(30):
        other = decide(served, f"d{n}", "now")
        decision = engine.decide()
        assert served.record(f"d{n}", "now").json()["action_id"] == decision.action_id
        said = body(n % 2, other, propensity=0.25) if n % 3 else {"value": n % 2}
        assert served.reward(f"d{n}", said, "now").status_code == 200
        shown = {"action_id": other, "propensity": 0.25} if n % 3 else {}
        engine.learn(decision, n % 2, **shown)
    assert engine.number == 50
    assert served.digest("now") == engine.digest()


def test_python_refuses_what_the_service_does() -> None:
    engine = onearm.open("tsallis_inf", ["a", "b"], reward_range=(0, 1))
    decision = engine.decide()
    other = "b" if decision.action_id == "a" else "a"
    before = engine.digest()
    for said, code in [
        ({"action_id": other}, "missing_propensity"),
        ({"action_id": "c", "propensity": 0.5}, "unknown_action"),
        ({"propensity": 0.5}, "unexpected_field"),
        ({"action_id": other, "propensity": 1.5}, "bad_propensity"),
    ]:
        with pytest.raises(OnearmError) as refused:
            engine.learn(decision, 1.0, **said)
        assert refused.value.code == code
    assert (engine.digest(), engine.number) == (before, 1)
    engine.learn(decision, 1.0, action_id=decision.action_id)
    assert engine.number == 1
