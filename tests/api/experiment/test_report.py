"""The report of an experiment: means and intervals are SciPy's, and regret is that of the points that were decided."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats
from support.served import ARMS, Served, assert_refused

import onearm
from onearm.api.experiment.sums import Tally, fresh
from onearm.engine.domain import Domain
from onearm.engine.estimate.interval import Z95
from onearm.engine.vectors.hindsight import LinearLosses

BOX = {"kind": "box", "low": [-1.0, 0.0], "high": [1.0, 0.5]}
POINTS = {"name": "point_gradient", "params": {"policy": {"name": "ftrl", "params": {}}}}


@pytest.fixture(params=[1, 1 << 25], ids=["page by page", "at once"])
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Yield a service that reads its log an event at a time, or at once."""
    monkeypatch.setattr("onearm.engine.storage.store.PAGE_BYTES", request.param)
    with Served(tmp_path) as served:
        yield served


def report(served: Served, experiment_id: str = "e", query: str = "") -> Any:
    before = served.everything()
    answer = served.get(f"/v1/experiments/{experiment_id}/report{query}")
    assert answer.status_code == 200, answer.text
    assert served.everything() == before
    return answer.json()


def check(found: dict[str, Any], rewards: list[float]) -> None:
    """Compare with NumPy and SciPy."""
    assert found["rewards"] == len(rewards)
    if not rewards:
        assert (found["reward_mean"], found["reward_stderr"], found["interval"]) == (None, None, None)
        return
    assert found["reward_mean"] == pytest.approx(np.mean(rewards), rel=1e-12)
    if len(set(rewards)) < 2:
        assert (found["reward_stderr"], found["interval"]) == (None, None)
        return
    stderr = stats.sem(rewards)
    assert found["reward_stderr"] == pytest.approx(stderr, rel=1e-12)
    assert found["interval"] == pytest.approx(stats.norm.interval(0.95, np.mean(rewards), stderr), rel=1e-12)


def test_arms_are_told_of_one_by_one_and_together(served: Served) -> None:
    """Some rewards come late or never, one arm joins, one retires, and one decision was made by someone else."""
    assert served.create().status_code == 201
    taken: dict[str, list[float]] = {arm: [] for arm in "abcd"}
    decided = dict.fromkeys(taken, 0)
    waiting = []
    for t in range(60):
        if t == 20:
            assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
        if t == 40:
            assert served.post("/v1/experiments/e/arms/a:retire").status_code == 200
        made = served.decide({}).json()
        decided[made["action_id"]] += 1
        waiting.append((made, math.sin(t) * 10.0 ** (t % 3)))
        if t % 5 == 4:
            for told, value in (waiting.pop(), waiting.pop(0), waiting.pop(1)):
                assert served.reward(told["decision_id"], value).status_code == 200
                taken[told["action_id"]].append(value)
    examples = {"examples": [{"action_id": "b", "value": 7.0, "propensity": 0.5}]}
    assert served.post("/v1/experiments/e/examples:batch", examples).status_code == 200
    decided["b"] += 1
    taken["b"].append(7.0)
    found = report(served)
    assert (found["experiment_id"], found["decisions"]) == ("e", 61)
    assert found["seq"] == len(served.events()) == 61 + 37 + 2
    check(found, [value for values in taken.values() for value in values])
    assert [one["arm_id"] for one in found["arms"]] == list("abcd")
    for one in found["arms"]:
        assert one["decisions"] == decided[one["arm_id"]]
        check(one, taken[one["arm_id"]])
    assert sum(one["decisions"] for one in found["arms"]) == found["decisions"]
    assert set(found) == {
        *("experiment_id", "seq", "decisions", "arms", "rewards", "reward_mean", "reward_stderr", "interval")
    }
    served.restart()
    assert report(served) == found
    assert served.post("/v1/experiments/e:archive").status_code == 200
    assert report(served) == found | {"seq": found["seq"] + 1}


def test_before_any_reward_and_with_rewards_all_alike_there_is_no_interval(served: Served) -> None:
    served.create()
    empty = report(served)
    check(empty, [])
    assert (empty["seq"], empty["decisions"], [one["decisions"] for one in empty["arms"]]) == (0, 0, [0, 0, 0])
    for n in range(1, 4):
        served.reward(served.decide({}).json()["decision_id"], 2.5)
        check(report(served), [2.5] * n)


def test_actions_that_come_with_each_call_are_told_of_together(served: Served) -> None:
    problem = {"actions": {"kind": "listed", "length": 1, "max": 3}}
    assert served.create("l", arms=[], problem=problem, policy={"name": "squarecb"}).status_code == 201
    rewards = []
    for t in range(12):
        actions = [{"id": f"{t}-{a}", "features": [a]} for a in range(1 + t % 3)]
        made = served.decide({"actions": actions}, "l").json()
        served.reward(made["decision_id"], t * t, "l")
        rewards.append(float(t * t))
    found = report(served, "l")
    check(found, rewards)
    assert "arms" not in found


def gradient(t: int) -> list[float]:
    return [math.sin(t), math.cos(3 * t) - 0.2]


FEEDBACK: dict[str, Any] = {
    "gradient": lambda t: {"gradient": gradient(t), "loss": t / 7},
    "losses": lambda t: {"losses": gradient(t)},
    "example": lambda t: {"example": (gradient(t), t / 9), "loss": t / 7},
    "reward": lambda t: {"loss": t / 7},
    "two_rewards": lambda t: {"loss": [t / 7, 0.5]},
}
POLICIES: dict[str, Any] = {
    "example": {"name": "implicit_omd", "params": {}},
    "reward": POINTS,
    "two_rewards": POINTS,
}


def over_http(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told in Python as a body."""
    detail = {name: told[name] for name in ("gradient", "losses") if name in told}
    if "example" in told:
        detail["example"] = dict(zip(("a", "b"), told["example"], strict=True))
    if "loss" in told:
        detail["values" if isinstance(told["loss"], list) else "value"] = told["loss"]
    return {"detail": detail}


@pytest.mark.covering
@pytest.mark.parametrize("feedback", FEEDBACK)
def test_vectors_are_told_of_as_in_python(served: Served, feedback: str) -> None:
    spec = {"policy": POLICIES[feedback]} if feedback in POLICIES else {}
    problem = {"kind": "vector", "domain": BOX, "feedback": feedback, "horizon": 50}
    assert served.post("/v1/experiments", {"experiment_id": "v", "problem": problem, **spec}).status_code == 201
    engine = onearm.open(domain=BOX, feedback=feedback, horizon=50, **spec)
    assert engine.report().regret == (0.0 if feedback in ("gradient", "losses") else None)
    waiting: list[Any] = []
    learned: list[Any] = []
    for t in range(31):
        made = engine.decide()
        answer = served.decide({}, "v").json()
        waiting.append((t, made, answer["decision_id"]))
        if t % 3 == 2 or t == 30:
            order = (waiting.pop(), waiting.pop(0)) if t < 30 else waiting
            for number, decision, name in order:
                told = FEEDBACK[feedback](number)
                assert served.reward(name, over_http(told), "v").json() == {"status": "accepted"}
                engine.learn(decision, **told)
                learned.append((decision.point, gradient(number)))
    found = report(served, "v")
    python = msgspec.to_builtins(engine.report())
    assert found == python | {"experiment_id": "v"}
    diagnosed = served.get("/v1/experiments/v/diagnostics").json()
    assert (found["certificate"], found["variation"]) == (diagnosed["certificate"], diagnosed["variation"])
    assert "segments" not in found and "arms" not in found
    check(found, [event.reward for event in served.events("v") if event.reward is not None])
    segmented = report(served, "v", "?segments=4")
    assert segmented["segments"] == 4
    assert {name: segmented[name] for name in found} == found
    if feedback not in ("gradient", "losses"):
        assert (found["regret"], found["regret_kind"], segmented["regret_by_segment"]) == (None, None, None)
        return
    losses = LinearLosses(Domain.from_json(BOX), segments=4, rounds=31)
    losses.add(*map(np.array, zip(*learned, strict=True)))
    assert losses.rounds == found["rewards"] == 31
    assert found["regret"] == losses.regret <= found["certificate"]
    assert segmented["regret_by_segment"] == losses.regret_by_segment > losses.regret
    assert found["regret_kind"].startswith("best fixed point")
    assert ("linear losses of the gradients" in found["regret_kind"]) == (feedback == "gradient")


def test_segments_are_equal_parts_of_the_rounds_learned(served: Served) -> None:
    problem = {"kind": "vector", "domain": {"kind": "simplex", "dimension": 2}, "feedback": "losses"}
    assert served.post("/v1/experiments", {"experiment_id": "v", "problem": problem}).status_code == 201
    told = [[1.0, 0.0]] * 4 + [[0.0, 3.0]] * 4
    for losses in [*told, None, None, None]:  # the last are never told
        name = served.decide({}, "v").json()["decision_id"]
        if losses is not None:
            served.reward(name, {"detail": {"losses": losses}}, "v")
    for segments, best in ((1, 4.0), (2, 0.0), (4, 0.0), (8, 0.0), (100, 0.0)):
        found = report(served, "v", f"?segments={segments}")
        lost = -8 * found["reward_mean"]
        assert found["regret"] == pytest.approx(lost - 4.0)
        assert found.get("regret_by_segment", found["regret"]) == pytest.approx(lost - best)
        assert found.get("segments", 1) == segments
    halves = report(served, "v", "?segments=2")
    assert served.post("/v1/experiments/v:archive").status_code == 200  # an event that is no round
    assert report(served, "v", "?segments=2") == halves | {"seq": halves["seq"] + 1}
    three = report(served, "v", "?segments=3")  # of 3, 3 and 2 rounds: (3, 0), (1, 6), (0, 6)
    assert three["regret_by_segment"] == pytest.approx(-8 * three["reward_mean"] - 1.0)


def test_segments_that_are_no_number_of_parts_are_refused(served: Served) -> None:
    problem = {"kind": "vector", "domain": BOX}
    assert served.post("/v1/experiments", {"experiment_id": "v", "problem": problem}).status_code == 201
    for segments in ("0", "-1", "1.5", "two", "", "1000001", "99999999999", "%C2%B2"):
        answer = served.get(f"/v1/experiments/v/report?segments={segments}")
        assert_refused(answer, 422, "bad_segments")
        assert "it must be a whole number from 1 to" in answer.json()["detail"], segments


def test_segments_are_given_once(served: Served) -> None:
    problem = {"kind": "vector", "domain": BOX}
    assert served.post("/v1/experiments", {"experiment_id": "v", "problem": problem}).status_code == 201
    answer = served.get("/v1/experiments/v/report?segments=2&segments=3")
    detail = assert_refused(answer, 422, "repeated_parameter")["detail"]
    assert detail == "the query has segments 2 times: send it once"


def test_more_segments_than_memory_is_for_are_refused(served: Served) -> None:
    problem = {"kind": "vector", "domain": BOX}
    served.post("/v1/experiments", {"experiment_id": "v", "problem": problem})
    answer = served.get("/v1/experiments/v/report?segments=500001")
    assert_refused(answer, 422, "bad_segments")
    assert "500000" in answer.json()["detail"]


def test_what_has_no_report_says_so(served: Served) -> None:
    served.create()
    assert_refused(served.get("/v1/experiments/nobody/report"), 404, "unknown_experiment")
    answer = served.get("/v1/experiments/e/report?segments=2")
    assert_refused(answer, 422, "no_segments")
    assert report(served, query="?segments=1")["arms"][0]["arm_id"] == ARMS[0]["id"]
    served.post("/v1/experiments", {"experiment_id": "s", "problem": {"kind": "arm_stream"}})
    answer = served.get("/v1/experiments/s/report")
    assert_refused(answer, 422, "no_report")
    assert "recommendation" in answer.json()["detail"]


def test_a_report_while_the_log_is_folded_is_put_off(served: Served) -> None:
    served.create()
    live = served.service.live("e")
    live.unusable = onearm.engine.errors.Unavailable("refolding", "the log is folded")
    assert_refused(served.get("/v1/experiments/e/report"), 503, "refolding")


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_a_spread_far_from_0_is_not_cancelled(offset: float) -> None:
    tally = Tally(fresh(0))
    values = [offset + value for value in (1.0, 2.0, 4.0, 2.0, 1.0)]
    for value in values:
        tally.enter(None, value)
    mean = tally.all
    assert mean.reward_mean == pytest.approx(offset + 2.0, rel=1e-15)
    assert mean.reward_stderr == pytest.approx(stats.sem([1.0, 2.0, 4.0, 2.0, 1.0]), rel=1e-3)
    assert mean.interval is not None
    assert mean.interval[1] - mean.interval[0] == pytest.approx(2.0 * Z95 * mean.reward_stderr, abs=1e-3)


@pytest.mark.parametrize(("params", "supposed"), [({}, None), ({"convexity": 2}, "losses that are 2-strongly convex")])
def test_what_a_certificate_supposes_of_the_losses_is_told_beside_it(
    served: Served, params: Any, supposed: Any
) -> None:
    problem = {"kind": "vector", "domain": BOX, "feedback": "gradient"}
    policy = {"name": "optimistic_omd", "params": params}
    body = {"experiment_id": "c", "problem": problem, "policy": policy}
    assert served.post("/v1/experiments", body).status_code == 201
    engine = onearm.open(domain=BOX, policy=policy)
    for told in (
        report(served, "c"),
        served.get("/v1/experiments/c/diagnostics").json(),
        msgspec.to_builtins(engine.report()),
    ):
        assert told.get("certificate_supposes") == supposed
