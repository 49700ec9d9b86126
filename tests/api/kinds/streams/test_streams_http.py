"""Streams of arms over HTTP: offers, pulls, evictions, the commit point; every refusal, every retry, and a crash."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golden
import httpx
import pytest
import sqlalchemy as sa
from support.passing_by import passing_by
from support.served import Served, assert_problem, assert_refused
from support.stream_log import StreamLog, assert_consistent

from onearm.api.cli.main import run
from onearm.api.kinds.streams import changes, moves
from onearm.api.kinds.streams.arm_queue import ARM_BYTES_MAX, ArmQueue, empty_places
from onearm.api.service import writer
from onearm.engine.actions import READ
from onearm.engine.errors import Damaged, InvalidInput, Unavailable
from onearm.engine.simulation import Simulation
from onearm.engine.storage.tables import SNAPSHOT
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Columns, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

EIGHTHS = [4, 2, 6, 3, 5, 7, 1, 6, 0, 5, 3, 2]  # the arms' means: sums of such rewards are exact
NAMES = golden.names("move")
SLOTS = 8
COMMITTED_WHEN = [1, 2, 5, 30]  # pulls before a commit


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service without streams."""
    with Served(tmp_path) as served:
        yield served


def create(served: Served, experiment_id: str = "s", policy: Any = None, **problem: Any) -> httpx.Response:
    body = {"experiment_id": experiment_id, "problem": {"kind": "arm_stream", **problem}, "seed": 5}
    return served.post("/v1/experiments", body | ({} if policy is None else {"policy": policy}))


def offer(served: Served, *arms: Any, experiment_id: str = "s") -> httpx.Response:
    for arm in arms:
        answer = served.post(f"/v1/experiments/{experiment_id}/arms", {"id": arm} if isinstance(arm, str) else arm)
    return answer


def post(served: Served, what: str, experiment_id: str = "s") -> httpx.Response:
    """Post to `:commit` or `/arms:close`."""
    return served.post(f"/v1/experiments/{experiment_id}{what}")


def recommendation(served: Served, experiment_id: str = "s") -> httpx.Response:
    return served.get(f"/v1/experiments/{experiment_id}/recommendation")


def stream(served: Served, experiment_id: str = "s") -> Any:
    return served.get(f"/v1/experiments/{experiment_id}").json()["stream"]


def ask(served: Served, **body: Any) -> dict[str, Any]:
    answer = served.decide(body, "s")
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def mean_of(made: dict[str, Any]) -> float:
    return EIGHTHS[int(made["arm_id"][1:]) % len(EIGHTHS)] / 8


def told(made: dict[str, Any], pulls: int | None = None) -> dict[str, Any]:
    """Return the reward of a decision about an arm like a7, whose rewards are all its mean."""
    pulls = made["pulls"] if pulls is None else pulls
    return {"value": pulls * mean_of(made), "pulls": pulls}


def pull(served: Served, n: int) -> list[dict[str, Any]]:
    """Decide and reward n times."""
    made = []
    for _ in range(n):
        made.append(ask(served))
        assert served.reward(made[-1]["decision_id"], told(made[-1]), "s").json() == {"status": "accepted"}
    return made


def forget_snapshots(served: Served) -> None:
    with served.store._transaction() as connection:
        connection.execute(sa.delete(SNAPSHOT))


def refold(served: Served) -> None:
    """Throw the state away, and fold the log from the newest snapshot on."""
    live = served.service.live("s")
    live.stop(Damaged("test", "thrown away by the test"))
    live.open(live.recover())


def labels(n: int) -> list[str]:
    return [f"a{i}" for i in range(n)]


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


@pytest.mark.parametrize("pulls", COMMITTED_WHEN)
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


# -- what is refused ---------------------------------------------------------------------------------------------------

STREAMS: list[tuple[Any, str]] = [
    ({"slots": 0}, "bad_slots"),
    ({"slots": 65}, "bad_slots"),
    ({"slots": "1"}, "bad_slots"),
    ({"slots": True}, "bad_slots"),
    ({"arms": 0}, "bad_arms"),
    ({"arms": -1}, "bad_arms"),
    ({"arms": 2**53 + 1}, "bad_arms"),
    ({"arms": [{"id": "a"}]}, "bad_arms"),
    ({"horizon": 0}, "bad_horizon"),
    ({"horizon": 2**53 + 1}, "bad_horizon"),
    ({"horizon": 1.5}, "bad_horizon"),
    ({"reward_range": 1}, "bad_range"),
    ({"reward_range": [1]}, "bad_range"),
    ({"reward_range": [0, 1, 2]}, "bad_range"),
    ({"reward_range": [1, 1]}, "bad_range"),
    ({"reward_range": [1, 0]}, "bad_range"),
    ({"reward_range": [False, True]}, "bad_range"),
    ({"reward_range": ["0", "1"]}, "bad_range"),
    ({"reward_range": [0, 10**400]}, "bad_range"),
    ({"reward_range": [-1e101, 0]}, "bad_range"),
    ({"context": {"kind": "none"}}, "unknown_field"),
    ({"actions": {"kind": "listed"}}, "unknown_field"),
    ({"memory": 3}, "not_built"),
]


@pytest.mark.parametrize(("problem", "code"), STREAMS)
def test_a_problem_that_cannot_be(served: Served, problem: Any, code: str) -> None:
    assert_refused(create(served, **problem), 422, code)


def test_an_experiment_that_does_not_fit_a_stream(served: Served) -> None:
    of_arms = {"name": "ucb1"}
    assert_refused(create(served, policy=of_arms), 422, "policy_does_not_fit")
    assert_refused(create(served, policy={"name": "early_drop", "params": {"scale": 0}}), 422, "bad_param")
    assert_refused(create(served, policy={"name": "early_drop", "params": []}), 422, "bad_spec")
    assert_refused(create(served, policy={"name": "early_dropp"}), 422, "unknown_policy")
    assert_refused(create(served, policy="early_drop"), 422, "bad_spec")
    body = {"problem": {"kind": "arm_stream"}, "arms": [{"id": "a"}]}
    detail = assert_refused(served.post("/v1/experiments", body), 422, "bad_arms")["detail"]
    assert "offer them with POST .../arms" in detail
    fixed = {"arms": [{"id": "a"}], "policy": {"name": "early_drop"}}
    assert_refused(served.post("/v1/experiments", fixed), 422, "policy_does_not_fit")
    assert_refused(served.post("/v1/experiments", fixed | {"problem": {"slots": 1}}), 422, "unknown_field")


def test_what_streams_do_not_have_is_refused_and_nothing_is_written(served: Served) -> None:
    create(served)
    offer(served, "a1", "a2")
    made = ask(served)
    before = served.everything()
    wrong: list[tuple[Any, str]] = [
        ({"context": [1.0]}, "unexpected_field"),
        ({"context": {}}, "unexpected_field"),
        ({"actions": []}, "unexpected_field"),
        ({"eligible_actions": ["a1"]}, "unexpected_field"),
        ({"excluded_actions": []}, "unexpected_field"),
        ({"explain": True}, "unexpected_field"),
        ({"pulls": 3}, "bad_body"),
    ]
    for body, code in wrong:
        assert_refused(served.decide(body, "s"), 422, code)
    example = {"action_id": "a1", "value": 1.0, "propensity": 1.0}
    (learned,) = served.post("/v1/experiments/s/examples:batch", {"examples": [example]}).json()["examples"]
    assert_problem(learned, 422, "no_examples")
    assert_refused(served.post("/v1/experiments/s/arms/a1:retire"), 422, "arms_come_once")
    for arm, code in (({"id": "a/.."}, "bad_id"), ({}, "bad_id"), ([], "bad_body")):
        assert_refused(offer(served, arm), 422, code)
    assert_refused(offer(served, {"id": "big", "text": "x" * ARM_BYTES_MAX}), 422, "arm_too_large")
    assert_refused(offer(served, {"id": "a2", "colour": "red"}), 409, "arm_exists")
    assert_refused(offer(served, {"id": "a1", "colour": "red"}), 409, "arm_exists")
    for value, pulls, code in [
        (0.0, None, "missing_pulls"),
        (0.0, -1, "bad_pulls"),
        (0.0, made["pulls"] + 1, "bad_pulls"),
        (0.0, 1.5, "bad_body"),
        (0.0, "1", "bad_body"),
        (-0.1, 8, "bad_reward"),
        (8.1, 8, "bad_reward"),
        (0.5, 0, "bad_reward"),
        (1e101, 8, "bad_reward"),
    ]:
        body = {"value": value} | ({} if pulls is None else {"pulls": pulls})
        assert_refused(served.reward(made["decision_id"], body, "s"), 422, code)
    assert_refused(served.reward(made["decision_id"], b'{"value": NaN, "pulls": 8}', "s"), 422, "malformed_json")
    detail = assert_refused(served.reward("~0", {"value": 0.0, "pulls": 0}, "s"), 422, "not_a_pull")["detail"]
    assert "decision 0 read an arm" in detail
    assert_refused(served.reward("~9", {"value": 0.0, "pulls": 0}, "s"), 404, "unknown_decision")
    assert served.everything() == before
    assert_consistent(served)


def test_what_arms_that_stay_do_not_have_is_refused(served: Served) -> None:
    served.create()
    name = served.decide().json()["decision_id"]
    assert_refused(served.reward(name, {"value": 1.0, "pulls": 1}), 422, "unexpected_pulls")
    for what in (":commit", "/arms:close"):
        assert_refused(post(served, what, "e"), 422, "no_stream")
    assert_refused(recommendation(served, "e"), 422, "no_stream")
    assert_refused(recommendation(served, "nobody"), 404, "unknown_experiment")
    assert "stream" not in served.get("/v1/experiments/e").json()


def test_nothing_to_pull_is_said_and_nothing_is_written(served: Served) -> None:
    create(served)
    before = served.everything()
    detail = assert_refused(served.decide({"decision_id": "d"}, "s"), 409, "nothing_to_pull")["detail"]
    assert "offer one with POST .../arms" in detail
    assert_refused(recommendation(served), 409, "nothing_to_recommend")
    assert_refused(post(served, ":commit"), 409, "nothing_to_recommend")
    assert served.everything() == before
    offer(served, "a1")
    assert_refused(post(served, ":commit"), 409, "nothing_to_recommend")
    assert ask(served, decision_id="d")["arm_id"] == "a1"
    assert recommendation(served).json() == {
        "arm_id": "a1",
        "pulls": 0,
        "mean": None,
        "interval": [0.0, 1.0],
        "arms_seen": 1,
        "pulls_made": 0,
        "committed": False,
    }


def test_a_stream_that_is_closed_empty_is_over(served: Served) -> None:
    """Its end is read once, and stays on record though no arm can be pulled."""
    create(served)
    post(served, "/arms:close")
    for _ in range(2):
        detail = assert_refused(served.decide({}, "s"), 409, "nothing_to_pull")["detail"]
        assert "its stream is over" in detail
    assert [event.kind for event in served.events("s")] == [CHANGE, DECIDE, LEARN]
    assert served.record("~0", "s").json()["action_id"] is None
    assert stream(served)["over"]
    assert_consistent(served)
    served.restart()
    assert_consistent(served)


def test_the_line_has_an_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "QUEUE_MAX", 3)
    create(served)
    assert offer(served, "a1", "a2", "a3").status_code == 201
    assert_refused(offer(served, "a4"), 409, "line_full")
    assert offer(served, "a2").status_code == 200, "it waits already"
    ask(served)
    assert offer(served, "a4").status_code == 201


def test_a_stream_that_has_ended_takes_no_offers(served: Served) -> None:
    for name, what, code in (("c", "/arms:close", "stream_closed"), ("d", ":commit", "committed")):
        create(served, name)
        offer(served, "a1", experiment_id=name)
        served.decide({}, name)
        assert post(served, what, name).status_code == 200
        assert_refused(offer(served, "a2", experiment_id=name), 409, code)
        again = offer(served, "a1", experiment_id=name)
        assert (again.status_code, again.json()) == (200, {"arm_id": "a1", "number": 0})
    assert post(served, ":archive", "c").json()["archived"]
    for what in ("/arms", ":commit", "/decisions", "/decisions/~1/reward"):
        body = {"id": "a3"} if what == "/arms" else {"value": 0, "pulls": 0} if "reward" in what else {}
        assert_refused(served.post(f"/v1/experiments/c{what}", body), 409, "archived")
    assert recommendation(served, "c").json()["arm_id"] == "a1"
    served.restart()
    assert_refused(served.decide({}, "c"), 409, "archived")
    assert_consistent(served, "c")


def test_rewards_keep_to_the_range_that_was_declared(served: Served) -> None:
    low_high = create(served, reward_range=[-2, 3]).json()
    assert low_high["policy"]["params"]["scale"] == 5.0
    offer(served, "a1")
    made = ask(served)
    for value in (-2.1 * 8, 3.1 * 8):
        detail = assert_refused(
            served.reward(made["decision_id"], {"value": value, "pulls": 8}, "s"), 422, "bad_reward"
        )
        assert "each lies in [-2, 3] (problem.reward_range), so it is within [-16, 24]" in detail["detail"]
    rounded = 24 * (1 + 1e-12)  # sums round
    assert served.reward(made["decision_id"], {"value": rounded, "pulls": 8}, "s").status_code == 200
    own = {"name": "early_drop", "params": {"scale": 2.5}}
    assert create(served, "o", own, reward_range=[-2, 3]).json()["policy"]["params"]["scale"] == 2.5
    free = create(served, "f", reward_range=None).json()
    assert (free["problem"]["reward_range"], free["policy"]["params"]["scale"]) == (None, 1.0)
    offer(served, "a1", experiment_id="f")
    made = served.decide({}, "f").json()
    assert served.reward(made["decision_id"], {"value": -1e9, "pulls": 8}, "f").status_code == 200
    assert recommendation(served, "f").json()["interval"] is None


# -- several at once ---------------------------------------------------------------------------------------------------


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


def test_what_comes_back_of_an_arm_that_left_is_refused(served: Served) -> None:
    create(served, horizon=5000, arms=4)
    offer(served, "a1", "a8", "a2", "a3")
    late = [ask(served) for _ in range(3)]
    assert served.reward(late[0]["decision_id"], told(late[0]), "s").status_code == 200
    newcomer = ask(served)
    assert (newcomer["arm_id"], newcomer["evicted"]) == ("a8", [])
    detail = assert_refused(served.reward(late[1]["decision_id"], told(late[1]), "s"), 409, "arm_moved")["detail"]
    assert "the arm 'a1' was stored in another place" in detail
    twice = ask(served)
    assert twice["arm_id"] == "a8"
    while (made := ask(served))["arm_id"] == "a8":
        served.reward(made["decision_id"], told(made), "s")
    assert [one["id"] for one in made["evicted"]] == ["a8"]
    before = served.everything()
    detail = assert_refused(served.reward(twice["decision_id"], told(twice), "s"), 409, "arm_evicted")["detail"]
    assert "the arm 'a8' was dropped or replaced" in detail
    assert served.everything() == before
    again = served.reward(late[0]["decision_id"], told(late[0]), "s")
    assert again.json() == {"status": "duplicate"}, "what was accepted once is known for good"
    while not any(one["id"] == "a1" for one in made["evicted"]):
        made = pull(served, 1)[0]
    assert_refused(served.reward(late[2]["decision_id"], told(late[2]), "s"), 409, "arm_evicted")
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


# -- once, whatever happens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache_bytes", [64_000_000, 0])
def test_everything_can_be_asked_again(tmp_path: Path, cache_bytes: int) -> None:
    """Also by another process, and where nothing is in memory."""
    with Served(tmp_path, cache_bytes=cache_bytes) as served:
        create(served, horizon=4000, arms=6)
        asked: list[tuple[str, dict[str, Any], Any]] = []
        for number, label in enumerate(labels(6)):
            asked.append(("/arms", {"id": label, "x": number}, {"arm_id": label, "number": number}))
            assert offer(served, asked[-1][1]).status_code == 201
        for t in range(12):
            body: dict[str, Any] = {"decision_id": f"d{t}"}
            made = ask(served, **body)
            reward = told(made, made["pulls"] - t % 2)
            assert served.reward(f"d{t}", reward, "s").json() == {"status": "accepted"}
            asked += [("/decisions", body, made), (f"/decisions/d{t}/reward", reward, {"status": "duplicate"})]
        post(served, "/arms:close")
        committed = post(served, ":commit").json()
        pull(served, 1)
        before = served.everything()
        evictions = sum(len(answer.get("evicted", ())) for _, _, answer in asked)
        assert evictions >= 2
        for _ in range(2):
            for path, body, answer in asked:
                again = served.post(f"/v1/experiments/s{path}", body)
                assert (again.status_code, again.json()) == (200, answer)
                if path == "/decisions":
                    assert again.headers["idempotency-replayed"] == "true"
            assert post(served, "/arms:close").status_code == 200
            assert post(served, ":commit").json() == committed
            assert served.everything() == before
            served.restart()
        assert_refused(served.decide({"decision_id": "d0", "explain": False}, "s"), 409, "decision_exists")
        assert_refused(served.reward("d0", {"value": 0.0, "pulls": 0}, "s"), 409, "reward_exists")
        assert_refused(served.reward("d0", asked[7][1] | {"pulls": 1, "value": 0.5}, "s"), 409, "reward_exists")
        assert_consistent(served)


def test_the_moves_of_one_decision_are_written_together_or_not_at_all(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(served, horizon=5000, arms=4)
    offer(served, "a1", "a8", "a2", "a3")
    pull(served, 2)  # a8 was pulled and is to be dropped
    append, written = served.store.append, []
    monkeypatch.setattr(writer, "BATCH_MAX", 1)

    def failing(events: Any, *rest: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: make room")

    def watched(events: Any, *rest: Any) -> None:
        written.append([event.kind for event in events])
        append(events, *rest)

    before = served.everything()
    with monkeypatch.context() as full:
        full.setattr(served.store, "append", failing)
        assert_refused(served.decide({"decision_id": "d"}, "s"), 503, "commit_failed")
    deadline = time.monotonic() + 10
    while served.service.live("s").unusable is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert served.everything() == before, "what was read for it is not on record either"
    monkeypatch.setattr(served.store, "append", watched)
    made = ask(served, decision_id="d")
    assert written == [[DECIDE, LEARN, DECIDE]]
    assert [one["id"] for one in made["evicted"]] == ["a8"]
    assert_consistent(served)


def test_a_state_is_folded_from_a_snapshot_and_from_nothing(served: Served, tmp_path: Path) -> None:
    create(served, horizon=50_000, arms=30)
    offer(served, *labels(20))
    open_pull = None
    for part in range(3):
        pull(served, 12)
        open_pull = open_pull or ask(served)
        offer(served, f"b{part}")
        assert_consistent(served)
        served.restart()  # keeps a snapshot
        assert served.store.newest_snapshots(served.service.live("s").row.key)
        assert_consistent(served)
    pull(served, 5)
    folded = assert_consistent(served)
    refold(served)
    assert assert_consistent(served).digest == folded.digest
    forget_snapshots(served)
    refold(served)
    assert assert_consistent(served).digest == folded.digest
    assert offer(served, "a0").status_code == 200


def test_the_commit_and_the_end_survive_a_restart(served: Served) -> None:
    create(served, arms=3)
    offer(served, *labels(3))
    pull(served, 4)
    committed = post(served, ":commit").json()
    post(served, "/arms:close")
    served.restart()
    assert stream(served)["committed"] == committed["arm_id"] and stream(served)["closed"]
    assert post(served, ":commit").json() == committed
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


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("commits", [False, True])
def test_those_who_left_where_no_pull_followed_are_named_with_what_comes_next(
    served: Served, monkeypatch: pytest.MonkeyPatch, commits: bool, restarted: bool
) -> None:
    monkeypatch.setitem(catalog._outside, "passing_by", passing_by)
    create(served, policy={"name": "passing_by"})
    offer(served, *labels(10))
    pull(served, 1)
    with monkeypatch.context() as broken:
        broken.setattr(moves, "move_allowed", lambda action, available: action[0] == READ)
        assert_refused(served.decide({}, "s"), 500, "impossible_move")
    if restarted:
        served.restart()
    answer = post(served, ":commit").json() if commits else ask(served)
    assert (answer["arm_id"], [gone["id"] for gone in answer["evicted"]]) == ("a7", ["a3", "a4", "a5", "a6"])
    served.restart()
    assert_consistent(served)
    if commits:
        assert post(served, ":commit").json() == answer
    else:
        served.reward(answer["decision_id"], {"value": 0.0, "pulls": 1}, "s")
    assert [gone["id"] for gone in ask(served)["evicted"]] == ([] if commits else ["a7", "a8"])


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


def test_an_arm_is_in_its_slot_since_it_was_stored_there() -> None:
    """A pull of the arm that was in the slot before it came later than the newcomer arrived."""
    line = ArmQueue(Problem(0, slots=1), empty_places(1))
    for label in labels(3):
        line.offer({"id": label})
    assert line.read(number=0, slot=1, arm=0) == []
    assert line.read(number=2, slot=0, arm=1) == []
    (gone,) = line.read(number=9, slot=0, arm=2)
    assert (gone.id, gone.reason) == ("a0", "replaced")
    assert line.places.since.tolist() == [9, 9] and line.places.arm.tolist() == [1, 2]
    with pytest.raises(Damaged, match="lacks its offer"):
        line.read(number=10, slot=1, arm=3)


# -- the log -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_log_and_its_exports_are_verified(
    served: Served, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    create(served, horizon=3000, arms=6)
    offer(served, *labels(6))
    late = ask(served)
    pull(served, 8)
    offer(served, "b1")
    post(served, "/arms:close")
    pull(served, 3)
    post(served, ":commit")
    pull(served, 1)
    assert late["pulls"] > 0, "a decision without a reward"
    digest, events = served.digest("s"), served.events("s")
    decided = sum(event.kind == DECIDE for event in events)
    served.stop()
    file = str(tmp_path / f"s.{ending}")
    assert run(["export", "s", file, "--database", served.url]) == 0
    for source, n_events in (["--database", served.url], len(events)), ([file], len(events)):
        capsys.readouterr()
        assert run(["verify", *source, "--json"]) == 0
        found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["s"]
        assert (found["digest"], found["first_difference"], found["decisions"]) == (digest, None, decided)
        assert found["events"] == n_events - sum(event.kind == CHANGE for event in events)
        assert "bad_lines" not in found
    served.start()


def test_a_move_that_was_changed_on_record_is_found(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    create(served, horizon=3000, arms=3)
    offer(served, *labels(3))
    pull(served, 4)
    with served.store._transaction() as connection:
        for column, value in (("vector", bytes(16) + bytes([7]) + bytes(7)),):
            statement = sa.text(f"UPDATE event SET {column} = :value WHERE kind = {DECIDE} AND number = 3")
            assert connection.execute(statement, {"value": value}).rowcount == 1
    served.stop()
    capsys.readouterr()
    assert run(["verify", "--database", served.url, "--json"]) == 1
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["s"]
    assert found["first_difference"] == 3
    served.start()


def test_the_record_of_a_move(served: Served) -> None:
    create(served, arms=3)
    offer(served, {"id": "a1", "colour": "red"}, "a8", "a2")
    made = ask(served, decision_id="d")
    served.reward("d", told(made) | {"reward_id": "r"}, "s")
    read, pulled = served.record("~0", "s").json(), served.record("d", "s").json()
    assert (read["move"], read["action_id"], read["pulls"]) == ("read", "a1", 0)
    assert (read["decision_id"], read["sent"]) == ("~0", {"id": "a1", "colour": "red"})
    assert read["reward"]["value"] == 0.0 and read["reward"]["pulls"] == 0
    assert (pulled["move"], pulled["action_id"], pulled["evicted"]) == ("pull", "a1", [])
    assert (pulled["pulls"], pulled["number"]) == (made["pulls"], 1)
    reward = {name: pulled["reward"][name] for name in ("value", "pulls", "reward_id")}
    assert reward == told(made) | {"reward_id": "r"}
    assert served.record("~1", "s").json() == pulled
    assert served.record("~arm a1", "s").status_code == 404
    assert "<td><code>early_drop</code></td>" in served.get("/").text
    assert served.get("/v1/experiments").json()["experiments"][-1]["stream"]["arms_seen"] == 1


def test_memory_is_that_of_the_line_and_not_of_the_stream(tmp_path: Path) -> None:
    with Served(tmp_path, cache_bytes=20_000) as served:
        create(served, horizon=10**6, arms=400)
        for i in range(300):
            offer(served, f"a{12 * i + 5 if i == 0 else 12 * i + 8}")  # one good arm, then none
            pull(served, 1)
        live = served.service.live("s")
        assert stream(served)["arms_seen"] > 100
        assert live.own.n_waiting + len(live.own.held) < 200
        assert len(live.records._numbers) < 40, "what was read is found in the log"
        assert offer(served, "a20").status_code == 200
        assert_consistent(served)


def test_a_policy_that_makes_an_impossible_move_is_named(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    create(served)
    offer(served, "a1", "a2")
    live = served.service.live("s")
    pulled = live._select

    def astray(params: Any, state: Any, instance: Any, key: Any) -> Any:
        action, propensity = pulled(params, state, instance, key)
        if action[0] == 0:
            action[1] = 0  # a slot that holds nothing
        return action, propensity

    monkeypatch.setattr(live, "_select", astray)
    answer = served.decide({}, "s")
    assert answer.status_code == 500 and answer.json()["code"] == "impossible_move"
    monkeypatch.undo()
    assert [event.kind for event in served.events("s")] == [CHANGE, CHANGE, DECIDE, LEARN], "the read is on record"
    assert ask(served)["arm_id"] == "a1"
    assert_consistent(served)


def test_slots_that_are_too_few_are_refused_by_the_policy(served: Served) -> None:
    answer = create(served, policy={"name": "levels"}, slots=1, arms=10_000, horizon=10**6)
    assert "slots" in assert_refused(answer, 422, "policy_does_not_fit")["detail"]
    with pytest.raises(InvalidInput):
        catalog.make("levels", kind="none")


def test_the_fold_of_another_hand_finds_what_is_wrong(served: Served) -> None:
    """The oracle of these tests is one: a log with a move less is not sound to it."""
    create(served, arms=3)
    offer(served, *labels(3))
    pull(served, 3)
    row = served.service.live("s").row
    events = served.events("s")
    StreamLog(row, events)
    other = [event._replace(detail="[1, -1]") if event.kind == LEARN else event for event in events]
    with pytest.raises(AssertionError):
        StreamLog(row, other)
