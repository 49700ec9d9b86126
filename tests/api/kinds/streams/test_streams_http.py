"""Streams of arms over HTTP: offers, pulls, evictions, the commit point."""

from __future__ import annotations

import json

import golden
import pytest
from support.every_run import every_run
from support.passing_by import passing_by
from support.served import Served, assert_refused
from support.stream_log import assert_consistent
from support.stream_service import (
    EIGHTHS,
    NAMES,
    SLOTS,
    ask,
    create,
    forget_snapshots,
    labels,
    offer,
    post,
    pull,
    recommendation,
    refold,
    stream,
    told,
)

from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Columns
from onearm.envs import catalog as envs
from onearm.policies import catalog

COMMITTED_WHEN = [1, 2, 5, 30]  # pulls before a commit


def test_a_stream_from_the_first_offer_to_the_commit(served: Served) -> None:
    created = create(served, horizon=2000, arms=4).json()
    assert created["policy"] == {"name": "early_drop", "params": catalog.make("early_drop").spec["params"]}
    assert created["problem"] == {
        "kind": "arm_stream",
        "slots": 1,
        "arms": 4,
        "horizon": 2000,
        "reward_range": [0.0, 1.0],
    }
    assert (created["arms"], created["stream"]["pulls_left"]) == ([], 2000)
    for number, label in enumerate(["a1", "a2", "a8", "a3"]):
        answer = offer(served, {"id": label, "colour": "red"})
        assert (answer.status_code, answer.json()) == (201, {"arm_id": label, "number": number})
    first = ask(served, decision_id="first")
    assert {**first, "pulls": 0} == {
        "decision_id": "first",
        "number": 1,
        "move": "pull",
        "arm_id": "a1",
        "pulls": 0,
        "evicted": [],
        "propensity": 1.0,
        "policy": "early_drop",
        "model_version": 6,  # four offers, and the first arm was read
    }
    assert served.reward("first", told(first), "s").json() == {"status": "accepted"}
    evicted, shown = [], []
    while stream(served)["arms_seen"] < 4:
        made = pull(served, 1)[0]
        evicted += made["evicted"]
        shown.append([one["arm_id"] for one in stream(served)["held"]])
    assert ["a1", "a2"] in shown and ["a2", "a8"] in shown and all(len(held) <= 2 for held in shown)
    assert [(one["id"], one["reason"], one["mean"]) for one in evicted] == [
        ("a1", "replaced", 0.25),
        ("a8", "dropped", 0.0),
    ]
    assert evicted[0]["pulls"] == first["pulls"] and evicted[1]["pulls"] == 8
    assert post(served, "/arms:close").json()["stream"]["closed"]
    while (made := ask(served))["arm_id"] != "a2":
        served.reward(made["decision_id"], told(made), "s")
    assert [one["id"] for one in made["evicted"]] == ["a3"] and stream(served)["over"]
    now = recommendation(served).json()
    assert (now["arm_id"], now["mean"], now["arms_seen"], now["committed"]) == ("a2", 0.75, 4, False)
    low, high = now["interval"]
    assert 0.5 < low < 0.75 < high < 1.0 and high - 0.75 == pytest.approx(0.75 - low)
    assert served.reward(made["decision_id"], told(made), "s").status_code == 200
    committed = post(served, ":commit").json()
    assert committed["committed"] and committed["arm_id"] == "a2"
    assert committed["pulls"] > now["pulls"] and committed["pulls_made"] == 2000
    assert stream(served)["pulls_left"] == 0 and stream(served)["committed"] == "a2"
    assert_refused(served.decide({}, "s"), 409, "horizon_reached")
    assert_consistent(served)


@pytest.mark.parametrize("name", NAMES)
def test_the_service_moves_as_the_simulation(served: Served, name: str) -> None:
    """The sums that a simulation's log holds bring the service to the same moves and the same state, bit for bit."""
    world = envs.make("arm_stream", means=[one / 8 for one in EIGHTHS], slots=SLOTS)
    trials = 1500
    simulation = Simulation(golden.specimen(name), world, horizon=trials, seed=5)
    log = simulation.advance_logged(5000)
    arms = len(EIGHTHS)
    policy = golden.specimen(name).spec
    assert create(served, policy=policy, slots=SLOTS, arms=arms, horizon=trials).status_code == 201
    offer(served, *labels(arms))
    post(served, "/arms:close")
    for number, pulls, total in pulls_of(log):
        made = ask(served)
        assert made["number"] == number
        assert served.reward(made["decision_id"], {"value": total, "pulls": pulls}, "s").status_code == 200
    assert_refused(served.decide({}, "s"), 409, "horizon_reached")
    events = [event for event in served.events("s") if event.kind != CHANGE]
    assert len(events) == len(log.kind)
    moves = [list(memoryview(event.vector).cast("q")) for event in events if event.vector is not None]
    assert moves == log.action[log.kind == DECIDE].tolist()
    details = [json.loads(event.detail or "") for event in events if event.kind == LEARN]
    assert details == log.detail[log.kind == LEARN].tolist()
    assert stream(served)["peak_held"] == simulation.world.state.held[1]
    assert assert_consistent(served).digest == served.digest("s")
    direct = Simulation(golden.specimen(name), world, horizon=trials, seed=5)
    direct.advance(trials)
    assert served.digest("s") == golden.snapshot.digest(direct.state)


def pulls_of(log: Columns) -> list[tuple[int, int, float]]:
    """Return number, pulls done and sum of the rewards of each pull of a log."""
    rows = (log.kind == LEARN) & (log.action[:, 0] == 0)
    done = log.detail[rows, 0].astype(int)
    return list(zip(log.number[rows].tolist(), done.tolist(), log.reward[rows].tolist(), strict=True))


@pytest.mark.parametrize("pulls", every_run(COMMITTED_WHEN, COMMITTED_WHEN[1:3]))
@pytest.mark.parametrize("name", NAMES)
def test_after_a_commit_one_arm_alone_is_pulled(served: Served, name: str, pulls: int) -> None:
    create(served, policy=golden.specimen(name).spec, slots=SLOTS, arms=len(EIGHTHS), horizon=100_000)
    offer(served, *labels(len(EIGHTHS)))
    pull(served, pulls)
    committed = post(served, ":commit").json()
    assert {made["arm_id"] for made in pull(served, 6)} == {committed["arm_id"]}
    assert all(not made["evicted"] for made in pull(served, 3))
    assert stream(served)["waiting"] > 0 or stream(served)["arms_seen"] == len(EIGHTHS)
    assert_consistent(served)
    served.restart()
    assert {made["arm_id"] for made in pull(served, 2)} == {committed["arm_id"]}
    assert post(served, ":commit").json() == committed
    assert recommendation(served).json()["pulls"] > committed["pulls"]


@pytest.mark.parametrize("name", NAMES)
def test_a_commit_lets_the_others_go_and_what_comes_back_of_them_is_refused(served: Served, name: str) -> None:
    create(served, policy=golden.specimen(name).spec, slots=SLOTS, arms=len(EIGHTHS), horizon=100_000)
    offer(served, *labels(len(EIGHTHS)))
    while (late := ask(served))["arm_id"] == recommendation(served).json()["arm_id"]:
        served.reward(late["decision_id"], told(late), "s")
    held = {one["arm_id"]: one for one in stream(served)["held"]}
    assert "evicted" not in recommendation(served).json()
    committed = post(served, ":commit").json()
    assert {one["id"]: one["pulls"] for one in committed["evicted"]} == {
        label: one["pulls"] for label, one in held.items() if label != committed["arm_id"]
    }
    assert late["arm_id"] in {one["id"] for one in committed["evicted"] if one["reason"] == "over"}
    for _ in range(2):
        before = served.everything()
        detail = assert_refused(served.reward(late["decision_id"], told(late), "s"), 409, "committed")["detail"]
        assert "its pulls count for nothing" in detail
        assert served.everything() == before
        assert {made["arm_id"] for made in pull(served, 3)} == {committed["arm_id"]}
        assert [one["arm_id"] for one in stream(served)["held"]] == [committed["arm_id"]]
        assert post(served, ":commit").json() == committed
        forget_snapshots(served)
        refold(served)
        assert_consistent(served)
        served.restart()


@pytest.mark.parametrize("name", NAMES)
def test_arms_that_come_late_are_waited_for(served: Served, name: str) -> None:
    """Where nothing waits the kept arm is pulled; what comes then is read."""
    create(served, policy=golden.specimen(name).spec, slots=SLOTS)
    for label in labels(6):
        offer(served, label)
        pull(served, 9)
    folded = assert_consistent(served)
    assert set(folded.pulled) <= set(labels(6)) and folded.read >= 2
    post(served, "/arms:close")
    pull(served, 3)
    assert_consistent(served)


def test_all_that_left_before_a_pull_are_named_with_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog._outside, "passing_by", passing_by)
    assert create(served, policy={"name": "passing_by"}).status_code == 201
    offer(served, *labels(10))
    one, two, three = pull(served, 3)
    assert [(made["arm_id"], [gone["id"] for gone in made["evicted"]]) for made in (one, two, three)] == [
        ("a3", ["a0", "a1", "a2"]),
        ("a7", ["a3", "a4", "a5", "a6"]),
        ("a9", ["a7", "a8"]),
    ]
    assert two["evicted"][0] == {"id": "a3", "reason": "dropped", "pulls": 2, "mean": 3 / 8}
    assert two["evicted"][1] == {"id": "a4", "reason": "dropped", "pulls": 0, "mean": None}
    post(served, "/arms:close")
    for _ in range(2):
        detail = assert_refused(served.decide({}, "s"), 409, "nothing_to_pull")["detail"]
        assert "its stream is over; gone since the last decision: 'a9'" in detail, "it read its last arm away"
        served.restart()
        assert_consistent(served)


def test_those_who_ask_at_once_share_a_batch_and_all_rewards_count(served: Served) -> None:
    create(served, horizon=60, arms=3)
    offer(served, *labels(3))
    batch = served.post("/v1/experiments/s/decisions:batch", {"decisions": [{}, {}, {"decision_id": "x"}]}).json()
    made = batch["decisions"]
    assert {(one["arm_id"], one["pulls"]) for one in made} == {("a0", made[0]["pulls"])}
    rewards = [{"decision_id": one["decision_id"], **told(one)} for one in made]
    answers = served.post("/v1/experiments/s/rewards:batch", {"rewards": [*rewards, rewards[0]]}).json()["rewards"]
    assert [one["status"] for one in answers] == ["accepted"] * 3 + ["duplicate"]
    assert stream(served)["pulls_made"] == 3 * made[0]["pulls"]
    assert_consistent(served)


def test_the_horizon_counts_pulls_that_were_rewarded(served: Served) -> None:
    create(served, horizon=40, arms=1)
    offer(served, "a1")
    post(served, "/arms:close")
    first = ask(served)
    assert served.reward(first["decision_id"], {"value": 0.0, "pulls": 0}, "s").status_code == 200
    assert stream(served)["pulls_left"] == 40
    one, other = ask(served), ask(served)
    for made in (one, other):  # both were asked for while there was room
        served.reward(made["decision_id"], told(made), "s")
    while (answer := served.decide({}, "s")).status_code == 201:
        served.reward(answer.json()["decision_id"], told(answer.json()), "s")
    assert_refused(answer, 409, "horizon_reached")
    assert stream(served)["pulls_left"] == 0
    assert_consistent(served)


def test_no_more_is_asked_for_than_is_left(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a policy that does not heed the horizon; what was asked for stays on record."""
    monkeypatch.setitem(catalog._outside, "passing_by", passing_by)
    create(served, policy={"name": "passing_by"}, horizon=3)
    offer(served, *labels(10))
    pull(served, 1)
    last = ask(served, decision_id="last")
    assert (last["pulls"], served.record("last", "s").json()["pulls"]) == (1, 1)
    assert_refused(served.reward("last", {"value": 0.0, "pulls": 2}, "s"), 422, "bad_pulls")
    assert served.reward("last", {"value": 0.0, "pulls": 1}, "s").status_code == 200
    assert stream(served)["pulls_made"] == 3
    for _ in range(2):
        assert served.decide({"decision_id": "last"}, "s").json() == last
        assert_refused(served.decide({}, "s"), 409, "horizon_reached")
        assert_consistent(served)
        served.restart()
