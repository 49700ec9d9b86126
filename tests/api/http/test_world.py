"""Changes of the world over HTTP: those that are found, and what a person says of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.served import Served, assert_refused

from onearm.api.cli.main import run
from onearm.api.service import live as live_module
from onearm.engine.errors import Damaged
from onearm.engine.vocabulary import CHANGE

ADAPTIVE = {"name": "adaptive", "params": {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.1}}}}
TWO = [{"id": "a"}, {"id": "b"}]
WORLD = "/v1/experiments/w/world"


@pytest.fixture
def adaptive(served: Served) -> Served:
    """Return a service with the experiment `w`, whose policy looks for changes."""
    assert served.create("w", arms=TWO, policy=ADAPTIVE).status_code == 201
    return served


def play(served: Served, n: int, best: str = "a", experiment_id: str = "w") -> None:
    """Decide and reward: the best arm pays 1 nine times of ten, any other once."""
    luck = np.random.default_rng(served.get(f"/v1/experiments/{experiment_id}").json()["decisions"])
    draws = luck.random(n).tolist()
    for begin in range(0, n, 10):
        made = served.decide_all([{}] * min(10, n - begin), experiment_id)
        paid = zip(made, draws[begin:], strict=False)
        values = {one["decision_id"]: float(draw < (0.9 if one["action_id"] == best else 0.1)) for one, draw in paid}
        served.reward_all(values, experiment_id)


def diagnostics(served: Served, experiment_id: str = "w") -> Any:
    return served.get(f"/v1/experiments/{experiment_id}/diagnostics").json()


def folded_again(served: Served) -> Any:
    """Return the diagnostics once the log was folded again, as it is where a commit failed."""
    for _ in range(600):
        told = diagnostics(served)
        if told.get("code") != "refolding":
            return told
        time.sleep(0.1)
    raise AssertionError(f"it was not folded again within a minute: {told}")


def say(served: Served, **said: Any) -> Any:
    return served.post(WORLD, said)


def verified(served: Served, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert run(["verify", *arguments, "--json"]) == 0
    return {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}


def test_a_change_that_is_found_is_told_in_diagnostics_and_in_the_report(
    adaptive: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (diagnostics(adaptive)["model"], diagnostics(adaptive)["changes"]) == (0, [])
    report = adaptive.get("/v1/experiments/w/report").json()
    assert report["changes"] == [] and "since_change" not in report
    play(adaptive, 120)
    play(adaptive, 60, best="b")
    found = diagnostics(adaptive)
    (change,) = found["changes"]
    assert found["model"] == change["model"] == 1 and change["number"] == 1
    assert 110 <= change["place"] <= 140 < change["noticed"] < 180
    assert (change["fresh"], change["cause"]) == ("all", "found") and change["evidence"] > 1e6

    report = adaptive.get("/v1/experiments/w/report").json()
    late = [adaptive.record(f"~{number}", "w").json()["reward"]["value"] for number in range(change["place"], 180)]
    assert report["changes"] == found["changes"]
    since = report["since_change"]
    assert (since["place"], since["decisions"], since["rewards"]) == (change["place"], len(late), len(late))
    assert since["reward_mean"] == pytest.approx(np.mean(late)) and since["interval"][0] < since["reward_mean"]
    assert report["decisions"] == 180

    adaptive.assert_consistent("w")
    for _ in range(2):  # with a snapshot, then without any
        adaptive.restart()
        assert diagnostics(adaptive)["changes"] == found["changes"]
        with adaptive.store._transaction() as connection:
            connection.exec_driver_sql("DELETE FROM snapshot")
    digest = adaptive.digest("w")
    adaptive.stop()
    assert verified(adaptive, capsys, "--database", adaptive.url)["w"]["digest"] == digest
    adaptive.start()


def test_policies_that_know_one_world_say_nothing_of_changes(served: Served) -> None:
    assert not {"model", "changes"} & set(diagnostics(served, "e"))
    assert not {"changes", "since_change"} & set(served.get("/v1/experiments/e/report").json())


def test_an_explanation_says_which_model_leads(served: Served) -> None:
    policy = {"name": "adaptive", "params": {"policy": {"name": "linucb"}}}
    served.create("w", arms=TWO, policy=policy, problem={"context": {"kind": "dense", "length": 1}})
    body = {"context": [0.5], "explain": True}
    assert served.decide(body | {"decision_id": "first"}, "w").json()["model"] == 0
    assert say(served, change="known").status_code == 201
    made = served.decide(body | {"decision_id": "second"}, "w").json()
    assert made["model"] == 1
    assert [served.record(name, "w").json()["model"] for name in ("first", "second")] == [0, 1]
    assert "model" not in served.decide({"context": [0.5]}, "w").json()
    served.create("plain", arms=TWO, policy={"name": "linucb"}, problem={"context": {"kind": "dense", "length": 1}})
    assert "model" not in served.decide(body, "plain").json()


def test_what_a_person_says_is_an_event_and_all_that_folds_the_log_comes_upon_it(
    adaptive: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(adaptive, 20)
    late = adaptive.decide({}, "w").json()["decision_id"]
    answer = say(adaptive, change="known")
    assert answer.status_code == 201
    (change,) = answer.json()["changes"]
    assert change == {
        "number": 1,
        "place": 21,
        "noticed": 21,
        "model": 1,
        "evidence": None,
        "fresh": "all",
        "cause": "said",
    }
    assert adaptive.reward(late, 1.0, "w").status_code == 200  # learned by the model before
    play(adaptive, 20, best="b")
    adaptive.post("/v1/experiments/w/arms", {"id": "c"})
    play(adaptive, 5)
    assert say(adaptive, change="known", model=0).json()["model"] == 0
    assert say(adaptive, change="known").json()["model"] == 2
    play(adaptive, 5)
    told = say(adaptive, change="false", number=3).json()
    assert told["model"] == 0
    assert [(each["number"], each["place"], each["cause"]) for each in told["changes"]] == [
        (1, 21, "said"),
        (2, 46, "said"),
        (3, 46, "said"),
        (4, 46, "taken_back"),
    ]
    play(adaptive, 5)
    said = [json.loads(event.detail or "") for event in adaptive.events("w") if event.kind == CHANGE]
    assert said == [
        {"change": "world_changed", "number": 21},
        {"change": "arm_added", "arm": {"id": "c"}, "number": 41},
        {"change": "world_changed", "number": 46, "model": 0},
        {"change": "world_changed", "number": 46},
        {"change": "change_taken_back", "number": 51},
    ]
    report = adaptive.get("/v1/experiments/w/report").json()
    assert report["since_change"]["place"] == 46 and report["since_change"]["decisions"] == 10
    adaptive.assert_consistent("w")
    for _ in range(2):
        adaptive.restart()
        adaptive.assert_consistent("w")
        assert diagnostics(adaptive)["changes"] == told["changes"]
        with adaptive.store._transaction() as connection:
            connection.exec_driver_sql("DELETE FROM snapshot")
    digest = adaptive.digest("w")
    adaptive.stop()
    assert verified(adaptive, capsys, "--database", adaptive.url)["w"]["digest"] == digest
    adaptive.start()


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "parquet"])
def test_exports_carry_what_was_said_and_are_verified_with_it(
    adaptive: Served, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(adaptive, change="known")  # before any decision
    play(adaptive, 20)
    say(adaptive, change="false", number=1)
    play(adaptive, 10, best="b")
    say(adaptive, change="known")  # behind all
    digest = adaptive.digest("w")
    adaptive.stop()
    file, again = str(tmp_path / f"w.{ending}"), str(tmp_path / "again.jsonl")
    assert run(["export", "w", file, "--database", adaptive.url]) == 0
    assert run(["convert", file, again]) == 0
    for each in (file, again):
        found = verified(adaptive, capsys, each)["w"]
        assert (found["digest"], found["events"], found["first_difference"]) == (digest, 60, None)
    adaptive.start()


def test_a_snapshot_from_before_something_was_said_is_turned(adaptive: Served) -> None:
    play(adaptive, 5)
    adaptive.restart()  # keeps a snapshot
    say(adaptive, change="known")
    play(adaptive, 5)
    adaptive.service.live("w").stop(Damaged("test", "thrown away by the test"))
    recovered = adaptive.service.live("w").recover()
    assert 0 < adaptive.store.newest_snapshots(adaptive.service.live("w").row.key)[0].seq < recovered.seq
    adaptive.service.live("w").open(recovered)
    adaptive.assert_consistent("w")
    say(adaptive, change="false", number=1)
    adaptive.restart()  # keeps a snapshot of what was just said
    adaptive.assert_consistent("w")
    play(adaptive, 2)
    adaptive.assert_consistent("w")


def test_the_same_said_again_changes_nothing(adaptive: Served) -> None:
    play(adaptive, 5)
    assert say(adaptive, change="known", number=1).status_code == 201
    play(adaptive, 5)  # the answer was lost, and others went on
    again = say(adaptive, change="known", number=1)
    assert again.status_code == 200 and len(again.json()["changes"]) == 1
    assert say(adaptive, change="known", model=1).status_code == 200  # it leads already
    assert say(adaptive, change="false", number=1).status_code == 201
    play(adaptive, 5)
    again = say(adaptive, change="false", number=1)
    assert again.status_code == 200 and len(again.json()["changes"]) == 2
    assert sum(event.kind == CHANGE for event in adaptive.events("w")) == 2
    adaptive.assert_consistent("w")


def test_what_cannot_be_said_is_refused_and_nothing_is_written(adaptive: Served) -> None:
    vectors = {"kind": "vector", "domain": {"kind": "ball", "dimension": 2}, "feedback": "gradient"}
    assert adaptive.create("v", arms=[], policy={"name": "optimistic_ftrl"}, problem=vectors).status_code == 201
    adaptive.create("old", arms=TWO, policy=ADAPTIVE)
    adaptive.post("/v1/experiments/old:archive")
    play(adaptive, 3)
    before, digest = adaptive.everything(), adaptive.digest("w")
    known = {"change": "known"}
    for name in ("e", "v"):
        detail = assert_refused(adaptive.post(f"/v1/experiments/{name}/world", known), 422, "notices_no_changes")
        assert "wrap it in adaptive" in detail["detail"]
    assert_refused(adaptive.post("/v1/experiments/none/world", known), 404, "unknown_experiment")
    assert_refused(adaptive.post("/v1/experiments/old/world", known), 409, "archived")
    detail = assert_refused(say(adaptive, change="known", model=3), 404, "unknown_model")["detail"]
    assert "there are 0" in detail
    assert_refused(say(adaptive, change="false", number=1), 409, "no_change")
    assert_refused(say(adaptive, change="false"), 422, "bad_world")
    assert_refused(say(adaptive, change="false", number=1, model=0), 422, "bad_world")
    assert_refused(say(adaptive, change="known", number=2), 409, "changed_meanwhile")
    for body in ({}, {"change": "new"}, {"change": "known", "model": -1}, {"change": "known", "of": 1}, []):
        assert_refused(adaptive.post(WORLD, body), 422, "bad_body")
    assert (adaptive.everything(), adaptive.digest("w")) == (before, digest)
    for _ in range(2):
        say(adaptive, change="known")
    detail = assert_refused(say(adaptive, change="false", number=1), 409, "not_the_last")["detail"]
    assert "the last change that stands is 2" in detail
    assert_refused(say(adaptive, change="known", number=1, model=0), 409, "changed_meanwhile")


def test_what_was_said_and_not_committed_was_never_said(adaptive: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    play(adaptive, 10)
    before, digest = adaptive.everything(), adaptive.digest("w")
    writer = adaptive.store._writer
    assert writer is not None
    size = writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    writer.exec_driver_sql(f"PRAGMA max_page_count = {size}")
    writer.rollback()
    with monkeypatch.context() as patch:
        patch.setattr(live_module, "detail_of", lambda change: " " * 100_000)  # it needs pages that are not there
        assert_refused(say(adaptive, change="known", number=1), 503, "commit_failed")
    assert adaptive.everything() == before
    assert (folded_again(adaptive)["changes"], adaptive.digest("w")) == ([], digest)
    writer.exec_driver_sql("PRAGMA max_page_count = 1000000000")
    writer.rollback()
    assert say(adaptive, change="known", number=1).status_code == 201
    adaptive.assert_consistent("w")
