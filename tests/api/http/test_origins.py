"""Policies that join with what they learned in another experiment, and logs that are whole without it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support.held_commits import held_commits
from support.lives import TSALLIS, UNIFORM, Life, law
from support.old_logs import command
from support.served import Served, assert_refused, folded, log_of

from onearm.api.log_files import ROWS
from onearm.api.service import origins, policies

GREEDY = law("epsilon_greedy", epsilon=0.1, origin=None)
PATH = "/v1/experiments/e/policies"


@pytest.fixture
def served(tmp_path: Path) -> Any:
    with Served(tmp_path) as one:
        yield one


def learned(served: Served, policy: Any = GREEDY, arms: str = "abc", **more: Any) -> int:
    """Let an experiment "there" learn that its last arm is best; return its last seq."""
    body = {"arms": [{"id": name} for name in arms], "policy": policy} | more
    assert served.create("there", **body).status_code == 201
    for _ in range(3):
        made = served.decide_all([{}] * 10, "there")
        served.reward_all({one["decision_id"]: float(one["action_id"] == arms[-1]) for one in made}, "there")
    seq: int = served.get("/v1/experiments/there").json()["seq"]
    return seq


def test_what_it_knew_there_it_knows_here(served: Served) -> None:
    seq = learned(served)
    digest = served.digest("there")
    life = Life(served, UNIFORM)
    joined = life.join(GREEDY, role="live", start={"experiment": "there"})
    assert joined["origin"] == {"experiment": "there", "seq": seq, "policy": 0}
    assert served.digest() == digest
    life.play(20)
    life.assert_verifies()


def test_a_shadow_goes_on_from_there_also_after_a_start(served: Served) -> None:
    seq = learned(served)
    life = Life(served, UNIFORM)
    life.play(5)
    life.join(GREEDY, role="shadow", start={"experiment": "there", "seq": seq - 10, "policy": 0})
    life.play(10)
    life.read_up()
    served.restart()
    life.play(10)
    life.do(1, "promote")
    life.play(10)
    life.assert_verifies()


def test_a_shadow_that_is_watched_before_it_is_committed_knows_what_it_brought(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a shadow brings is in the log: whoever looks before it is there would let it begin with nothing."""
    learned(served)
    life = Life(served, UNIFORM)
    life.play(10)
    live, watching = served.service.live("e"), served.service.policies
    committed, asked = live.committed, threading.Event()

    async def told() -> int:
        asked.set()
        return await committed()

    with ThreadPoolExecutor(2) as pool:
        with held_commits(served, monkeypatch) as waits:
            joins = pool.submit(life.join, GREEDY, role="shadow", start={"experiment": "there"})
            assert waits.wait(10)
            monkeypatch.setattr(live, "committed", told)
            look = pool.submit(served.client.portal.call, watching._look, live)
            look.add_done_callback(lambda _: asked.set())
            assert asked.wait(10)
            assert not look.done() and watching.watch(live) is None, "it waits"
        joins.result(30)
        look.result(30)
    life.play(10)
    life.read_up()
    life.do(1, "promote")
    life.play(10)
    life.assert_verifies()


def test_what_it_knew_there_is_of_the_event_that_is_said(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a decision there that is not committed yet nobody knows."""
    seq = learned(served)
    Life(served, UNIFORM)
    look = policies.state_of_origin
    with ThreadPoolExecutor(1) as pool:

        def looked(*about: Any) -> Any:
            with held_commits(served, monkeypatch) as waits:
                pool.submit(served.decide, {}, "there")
                assert waits.wait(10)
                return look(*about)

        monkeypatch.setattr(policies, "state_of_origin", looked)
        body = {"policy": GREEDY, "role": "live", "start": {"experiment": "there"}}
        joined = served.post(PATH, body).json()
    assert joined["origin"]["seq"] == seq
    row, events = log_of(served.store, "there")
    assert served.digest() == folded(row, events[:seq])


def test_the_log_is_whole_without_where_it_came_from(served: Served, tmp_path: Path) -> None:
    learned(served)
    life = Life(served, UNIFORM)
    life.join(GREEDY, role="canary", share=0.5, start={"experiment": "there"})
    life.play(20)
    life.join(GREEDY, role="shadow", start={"experiment": "there"})
    life.play(10)
    life.do(2, "promote")
    life.play(10)
    assert served.client.delete("/v1/experiments/there?confirm=there").status_code in (200, 204)
    assert served.post(f"{PATH}:rollback", {"to": 10}).status_code == 200
    life.play(10)
    life.assert_verifies()
    body = served.get("/v1/experiments/e/log").content
    assert served.post("/v1/experiments:import?experiment_id=twin", body).status_code == 201
    assert served.digest("twin") == served.digest()
    for form, rows in product(("jsonl", "parquet"), ROWS):
        file = tmp_path / f"log.{form}"
        file.write_bytes(served.get(f"/v1/experiments/e/log?format={form}&rows={rows}").content)
        status, found = command("verify", str(file))
        assert (status, found["experiments"][0]["digest"]) == (0, served.digest())


def test_it_takes_the_arms_that_there_are_here(served: Served) -> None:
    learned(served, arms="ab")
    life = Life(served, UNIFORM)
    life.join(GREEDY, role="live", start={"experiment": "there"})
    assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
    made = life.play(30)
    assert {one["action_id"] for one in made} != {"a", "b"}
    life.assert_verifies()


def test_a_policy_comes_back_as_it_was_earlier_in_the_same_experiment(served: Served) -> None:
    life = Life(served, GREEDY)
    life.play(10)
    digest = served.digest()
    life.play(10)
    life.join(UNIFORM, role="live")
    life.join(GREEDY, role="live", start={"experiment": "e", "seq": 20})
    assert served.digest() == digest
    life.play(5)
    life.assert_verifies()


def test_the_same_call_again_adds_no_second_leader_and_another_origin_is_another_one(served: Served) -> None:
    seq = learned(served)
    life = Life(served, UNIFORM)
    body = {"policy": GREEDY, "role": "live", "start": {"experiment": "there"}}
    told = [served.post(PATH, body) for _ in range(2)]
    assert [(one.status_code, one.json()["policy"]) for one in told] == [(201, 1), (200, 1)]
    for number, start in ((2, {"experiment": "there", "seq": seq - 10}), (3, "empty")):
        again = [served.post(PATH, body | {"start": start}) for _ in range(2)]
        assert [(one.status_code, one.json()["policy"]) for one in again] == [(201, number), (200, number)]
    life.assert_verifies()


def test_what_does_not_fit_is_refused(served: Served) -> None:
    seq = learned(served)
    life = Life(served, UNIFORM)

    def refused(said: Any, status: int, code: str, **start: Any) -> None:
        body = {"policy": said, "start": {"experiment": "there"} | start}
        assert_refused(served.post(PATH, body), status, code)

    refused(TSALLIS, 422, "other_policy")
    refused(law("epsilon_greedy", epsilon=0.2), 422, "other_policy")
    refused(GREEDY, 422, "ahead_of_log", seq=seq + 1)
    refused(GREEDY, 422, "did_not_decide", policy=3)
    refused(GREEDY, 404, "unknown_experiment", experiment="nowhere")
    assert served.post("/v1/experiments/there:compact", {"archive": False}).status_code == 200
    refused(GREEDY, 409, "compacted", seq=5)
    for name, more in (("other", {"arms": [{"id": "b"}, {"id": "a"}]}), ("ranged", {"reward": {"range": [0, 2]}})):
        assert served.create(name, policy=GREEDY, **more).status_code == 201
    refused(GREEDY, 422, "other_arms", experiment="other")
    refused(GREEDY, 422, "other_problem", experiment="ranged")
    assert life.roles() == {0: "live"}


AFTER_30 = {"policy": law("linucb"), "role": "shadow", "start": {"experiment": "there", "seq": 30}}


def with_contexts(served: Served) -> None:
    """Let an experiment "there" learn of contexts, 40 events, and make one that decides about the same."""
    numbers = {"problem": {"context": {"kind": "dense", "length": 2}}, "policy": law("linucb")}
    served.create("there", **numbers)
    for i in range(20):
        served.decide({"decision_id": f"d{i}", "context": [i / 20, 1.0]}, "there")
        served.reward(f"d{i}", i / 20, "there")
    served.create(**numbers)


def test_what_becomes_slim_while_it_is_folded_is_refused_as_what_was(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contexts are gone then, and what was learned of them cannot be told."""
    with_contexts(served)
    finished = origins.finished

    def compacted_first(steps: Any) -> Any:
        assert served.post("/v1/experiments/there:compact", {"archive": False}).status_code == 200
        served.client.portal.call(served.service.chores.done)
        return finished(steps)

    monkeypatch.setattr(origins, "finished", compacted_first)
    assert_refused(served.post(PATH, AFTER_30), 409, "compacted")


def test_what_somebody_was_erased_of_later_cannot_be_told(served: Served) -> None:
    """What was learned of the context of who was erased is in the state, and not in the log any more."""
    with_contexts(served)
    assert served.post("/v1/experiments/there:erase", {"decision_ids": ["d3"]}).json()["decisions"] == 1
    assert_refused(served.post(PATH, AFTER_30), 409, "compacted")
