"""What streams of arms over HTTP refuse: a code, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from support.served import Served, assert_problem, assert_refused
from support.stream_log import assert_consistent
from support.stream_service import ask, create, offer, post, pull, recommendation, stream, told

from onearm.api.kinds.streams import changes
from onearm.api.kinds.streams.arm_queue import ARM_BYTES_MAX
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN
from onearm.policies import catalog

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
def test_a_problem_that_cannot_be(standing: Served, problem: Any, code: str) -> None:
    assert_refused(create(standing, **problem), 422, code)


def test_an_experiment_that_does_not_fit_a_stream(served: Served) -> None:
    of_arms = {"name": "ucb1"}
    assert_refused(create(served, policy=of_arms), 422, "policy_does_not_fit")
    assert_refused(create(served, policy={"name": "early_drop", "params": {"scale": 0}}), 422, "bad_param")
    assert_refused(create(served, policy={"name": "early_drop", "params": []}), 422, "bad_spec")
    assert_refused(create(served, policy={"name": "early_dropp"}), 422, "unknown_policy")
    assert_refused(create(served, policy=["early_drop"]), 422, "bad_spec")
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


def test_slots_that_are_too_few_are_refused_by_the_policy(served: Served) -> None:
    answer = create(served, policy={"name": "levels"}, slots=1, arms=10_000, horizon=10**6)
    assert "slots" in assert_refused(answer, 422, "policy_does_not_fit")["detail"]
    with pytest.raises(InvalidInput):
        catalog.make("levels", kind="none")
