"""Vectors over HTTP: points, what they revealed, forecasts; every refusal, every retry, the log and a restart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from support.served import Served, assert_problem, assert_refused, assert_sound

import onearm
from onearm.api.cli.main import run
from onearm.api.experiment.spec import Spec
from onearm.engine.storage.tables import SNAPSHOT
from onearm.engine.vocabulary import DECIDE, LEARN

BOX = {"kind": "box", "low": [-1.0, 0.0, -0.5], "high": [1.0, 0.5, 0.25]}
FORECASTER = {"name": "optimistic_omd", "params": {"hint": "context"}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service with the experiment `v`: gradients, in a box of three dimensions."""
    with Served(tmp_path) as served:
        assert create(served).status_code == 201
        yield served


def create(served: Served, experiment_id: str = "v", policy: Any = None, **problem: Any) -> httpx.Response:
    body = {"experiment_id": experiment_id, "problem": {"kind": "vector", "domain": BOX} | problem, "seed": 5}
    return served.post("/v1/experiments", body | ({} if policy is None else {"policy": policy}))


def ask(served: Served, experiment_id: str = "v", **body: Any) -> dict[str, Any]:
    answer = served.decide(body, experiment_id)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def gradient(t: int) -> list[float]:
    return [math.sin(t), math.cos(2 * t) / 3, 0.5 - t % 3]


def told(t: int) -> dict[str, Any]:
    return {"detail": {"gradient": gradient(t), "value": t / 7}}


def walk(served: Served, n: int, start: int = 0) -> list[list[float]]:
    """Decide and tell n times, and return the points; every third is never told."""
    points = []
    for t in range(start, start + n):
        made = ask(served, decision_id=f"d{t}")
        points.append(made["point"])
        if t % 3 < 2:
            assert served.reward(f"d{t}", told(t), "v").json() == {"status": "accepted"}
    return points


def test_the_service_decides_as_the_python_door(served: Served) -> None:
    engine = onearm.open(domain=BOX, seed=5)
    for t, point in enumerate(walk(served, 30)):
        decision = engine.decide()
        assert decision.point.tolist() == point
        if t % 3 < 2:
            engine.learn(decision, gradient=gradient(t), loss=t / 7)
    assert served.digest("v") == engine.digest()
    found = served.get("/v1/experiments/v/diagnostics").json()
    assert (found["certificate"], found["variation"]) == tuple(engine.certificate)
    assert found["decisions"] == 30 and found["rewards"] == 20


def test_a_point_is_answered_with_what_made_it(served: Served) -> None:
    assert ask(served) == {
        "decision_id": "~0",
        "point": [0.0, 0.25, -0.125],
        "propensity": 1.0,
        "policy": "optimistic_ftrl",
        "model_version": 0,
    }


def test_what_is_written_is_the_reward_and_its_gradient(served: Served) -> None:
    ask(served)
    served.reward("~0", {"detail": {"gradient": [1.0, -2.0, 0.0], "value": 3.5}}, "v")
    ask(served)
    served.reward("~1", {"value": 3.5, "detail": {"gradient": [1.0, 0.1, 0.0]}}, "v")
    events = served.events("v")
    assert_sound(events)
    decided, learned = events[0], events[1]
    assert (decided.kind, decided.action, decided.vector) == (DECIDE, None, np.array([0.0, 0.25, -0.125]).tobytes())
    assert (learned.kind, learned.reward, learned.vector) == (LEARN, -3.5, None)
    assert learned.detail == "[-1.0, 2.0, 0.0]"  # no -0.0: it would be another text for the same number
    assert (events[3].reward, events[3].detail) == (3.5, "[-1.0, -0.1, 0.0]")


def test_without_a_value_the_reward_is_that_of_the_linear_loss(served: Served) -> None:
    ask(served)
    served.reward("~0", {"detail": {"gradient": [1.0, -2.0, 4.0]}}, "v")
    assert served.events("v")[1].reward == 1.0  # -(0 - 0.5 - 0.5)


def test_the_record_tells_point_and_detail_as_they_were_told(served: Served) -> None:
    walk(served, 2)
    record = served.record("d1", "v").json()
    assert record["action_id"] is None
    assert len(record["point"]) == 3 and "points" not in record
    assert record["reward"]["detail"] == {"gradient": gradient(1)}
    assert record["reward"]["value"] == -1 / 7
    assert record["sent"] == {"decision_id": "d1"}


def test_a_restart_goes_on_to_the_same_bits(served: Served, tmp_path: Path) -> None:
    before = walk(served, 25)
    digest = served.digest("v")
    served.restart()
    assert served.digest("v") == digest
    with served.store._transaction() as connection:
        assert connection.execute(sa.delete(SNAPSHOT)).rowcount >= 1
    served.restart()  # without a snapshot the log is folded
    assert served.digest("v") == digest
    engine = onearm.open(domain=BOX, seed=5)
    for t, point in enumerate(before + walk(served, 5, start=25)):
        decision = engine.decide()
        assert decision.point.tolist() == point
        if t % 3 < 2:
            engine.learn(decision, gradient=gradient(t), loss=t / 7)
    assert served.digest("v") == engine.digest()


def test_the_same_decision_again_is_the_first_answer(served: Served) -> None:
    first = served.decide({"decision_id": "x"}, "v")
    served.reward("x", told(1), "v")
    again = served.decide({"decision_id": "x"}, "v")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert_refused(served.decide({"decision_id": "x", "context": None}, "v"), 409, "decision_exists")


@pytest.mark.parametrize("restarted", [False, True])
def test_the_same_feedback_again_is_a_duplicate_and_another_is_refused(served: Served, restarted: bool) -> None:
    ask(served, decision_id="x")
    assert served.reward("x", told(1), "v").json() == {"status": "accepted"}
    before = served.everything()
    if restarted:
        served.restart()
    assert served.reward("x", told(1), "v").json() == {"status": "duplicate"}
    same = {"value": -1 / 7, "detail": {"gradient": gradient(1)}}  # the reward is minus the loss
    assert served.reward("x", same, "v").json() == {"status": "duplicate"}
    other_gradient = {"detail": {"gradient": gradient(2), "value": 1 / 7}}  # of the same value
    for other in (told(2), told(1) | {"reward_id": "r"}, {"detail": {"gradient": gradient(1)}}, other_gradient):
        assert_refused(served.reward("x", other, "v"), 409, "reward_exists")
    assert served.everything() == before


def test_late_feedback_is_learned_in_the_order_of_the_log(served: Served) -> None:
    engine = onearm.open(domain=BOX, seed=5)
    made = [engine.decide() for _ in range(4)]
    for _ in made:
        ask(served)
    for t in (2, 0, 3):
        engine.learn(made[t], gradient=gradient(t))
        assert served.reward(f"~{t}", {"detail": {"gradient": gradient(t)}}, "v").status_code == 200
    assert served.digest("v") == engine.digest()
    assert ask(served)["point"] == engine.decide().point.tolist()


def test_batches_answer_in_order_and_a_bad_one_fails_alone(served: Served) -> None:
    made = served.post("/v1/experiments/v/decisions:batch", {"decisions": [{}, {"explain": True}, {}]}).json()
    first, second, third = made["decisions"]
    assert first["decision_id"] == "~0" and third["decision_id"] == "~1"
    assert_problem(second, 422, "unexpected_field")
    rewards = [{"decision_id": "~0", **told(0)}, {"decision_id": "~1", "value": 1.0}, {"decision_id": "~1", **told(1)}]
    found = served.post("/v1/experiments/v/rewards:batch", {"rewards": rewards}).json()["rewards"]
    assert [one.get("status") for one in found] == ["accepted", 422, "accepted"]
    assert_problem(found[1], 422, "missing_detail")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"detail": {"gradient": [1.0, 2.0]}}, "bad_detail"),
        ({"detail": {"gradient": []}}, "bad_detail"),
        ({"detail": {"gradient": [1.0, 2.0, 1e101]}}, "bad_detail"),
        (b'{"detail": {"gradient": [1.0, 2.0, NaN]}}', "malformed_json"),
        (b'{"detail": {"gradient": [1.0, 2.0, 1e999]}}', "bad_body"),
        ({"detail": {"gradient": [1.0, 2.0, "3"]}}, "bad_body"),
        ({"detail": {"gradient": [1.0, 2.0, None]}}, "bad_body"),
        ({"detail": {"losses": [1.0, 2.0, 3.0]}}, "unexpected_detail"),
        ({"detail": {"gradient": [1.0, 2.0, 3.0], "losses": [1.0, 2.0, 3.0]}}, "unexpected_detail"),
        ({"detail": {"example": {"a": [1.0, 2.0, 3.0], "b": 1.0}}}, "unexpected_detail"),
        ({"value": 1.0}, "missing_detail"),
        ({}, "missing_detail"),
        ({"value": 1.0, "detail": {"value": -1.0, "gradient": [1.0, 2.0, 3.0]}}, "two_values"),
        ({"values": [1.0, 2.0], "detail": {"gradient": [1.0, 2.0, 3.0]}}, "bad_reward"),
        ({"detail": {"values": [1.0, 2.0], "gradient": [1.0, 2.0, 3.0]}}, "bad_reward"),
        ({"value": 1e101, "detail": {"gradient": [1.0, 2.0, 3.0]}}, "bad_reward"),
        ({"pulls": 1, "detail": {"gradient": [1.0, 2.0, 3.0]}}, "bad_body"),
        ({"observed_at": "now", "detail": {"gradient": [1.0, 2.0, 3.0]}}, "not_built"),
        ({"detail": {"gradient": [1.0, 2.0, 3.0]}, "reward_id": "~"}, "bad_id"),
        ({"detail": {"gradients": [1.0, 2.0, 3.0]}}, "bad_body"),
    ],
)
def test_feedback_that_cannot_be_is_refused_and_nothing_is_written(served: Served, body: Any, code: str) -> None:
    ask(served)
    before, digest = served.everything(), served.digest("v")
    assert_refused(served.reward("~0", body, "v"), 422, code)
    assert (served.everything(), served.digest("v")) == (before, digest)
    assert served.reward("~0", told(0), "v").json() == {"status": "accepted"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"actions": [{"id": "a"}]}, "unexpected_field"),
        ({"eligible_actions": ["a"]}, "unexpected_field"),
        ({"excluded_actions": []}, "unexpected_field"),
        ({"explain": True}, "unexpected_field"),
        ({"hint": [1.0, 2.0, 3.0]}, "unexpected_hint"),
        ({"context": [1.0]}, "bad_context"),
        ({"point": [0.0, 0.0, 0.0]}, "bad_body"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_and_nothing_is_written(served: Served, body: Any, code: str) -> None:
    before = served.everything()
    assert_refused(served.decide(body, "v"), 422, code)
    assert served.everything() == before


@pytest.mark.parametrize(
    ("problem", "policy", "code"),
    [
        ({"domain": {"kind": "box", "low": [1], "high": [0]}}, None, "bad_domain"),
        ({"domain": {"kind": "ball", "dimension": 2, "radius": 0}}, None, "bad_domain"),
        ({"domain": {"kind": "simplex", "dimension": 1}}, None, "bad_domain"),
        ({"domain": None}, None, "bad_domain"),
        ({"domain": {"kind": "torus"}}, None, "bad_domain"),
        ({"feedback": "rumours"}, None, "bad_feedback"),
        ({"feedback": "reward"}, "optimistic_omd", "policy_does_not_fit"),
        ({}, "ucb1", "policy_does_not_fit"),
        ({}, {"name": "optimistic_omd", "params": {"convexity": -1.0}}, "bad_param"),
        ({}, {"name": "optimistic_omd", "params": {"gradient_max": 0}}, "bad_param"),
        ({}, {"name": "optimistic_omd", "params": {"hint": "tea leaves"}}, "bad_param"),
        ({"context": {"kind": "dense", "length": 2}}, FORECASTER, "policy_does_not_fit"),
        ({"context": {"kind": "features"}}, None, "bad_context"),
        ({"slots": 1}, None, "unknown_field"),
        ({"actions": {"kind": "listed"}}, None, "unknown_field"),
        ({"horizon": 0}, None, "bad_horizon"),
        ({"memory": 3}, None, "not_built"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(standing: Served, problem: Any, policy: Any, code: str) -> None:
    before = standing.everything()
    policy = {"name": policy} if isinstance(policy, str) else policy
    assert_refused(create(standing, "w", policy, **problem), 422, code)
    assert standing.everything() == before


def test_arms_and_domains_do_not_mix(served: Served) -> None:
    both = {"arms": [{"id": "a"}], "problem": {"kind": "vector", "domain": BOX}}
    assert_refused(served.post("/v1/experiments", both), 422, "bad_arms")
    assert_refused(served.post("/v1/experiments/v/arms", {"id": "a"}), 422, "no_arms")
    assert_refused(served.post("/v1/experiments/v/arms/a:retire"), 422, "no_arms")
    assert_refused(served.post("/v1/experiments/v:commit"), 422, "no_stream")
    example = {"action_id": "a", "value": 1.0, "propensity": 0.5}
    found = served.post("/v1/experiments/v/examples:batch", {"examples": [example]}).json()
    assert_problem(found["examples"][0], 422, "no_examples")
    assert served.create("e").status_code == 201
    assert_refused(served.decide({"hint": [1.0]}, "e"), 422, "unexpected_field")
    served.decide({}, "e")
    assert_refused(served.reward("~0", {"detail": {"gradient": [1.0]}}, "e"), 422, "not_built")
    assert "certificate" not in served.get("/v1/experiments/e/diagnostics").json()


def test_a_forecast_is_of_the_loss_and_may_be_left_out(served: Served) -> None:
    assert create(served, "f", FORECASTER).status_code == 201
    engine = onearm.open(FORECASTER, domain=BOX, seed=5)
    for t in range(10):
        hint = None if t % 4 == 3 else gradient(t)
        made, decision = ask(served, "f", **({} if hint is None else {"hint": hint})), engine.decide(hint=hint)
        assert made["point"] == decision.point.tolist()
        served.reward(f"~{t}", {"detail": {"gradient": gradient(t)}}, "f")
        engine.learn(decision, gradient=gradient(t))
    assert served.digest("f") == engine.digest()
    assert served.record("~1", "f").json()["context"] == [-number for number in gradient(1)]
    before = served.everything()
    assert_refused(served.decide({"hint": [1.0]}, "f"), 422, "bad_detail")
    assert_refused(served.decide({"context": [1.0, 2.0, 3.0]}, "f"), 422, "bad_context")
    assert served.everything() == before


def test_the_same_experiment_again_is_known_and_another_is_refused(served: Served) -> None:
    found = served.get("/v1/experiments/v").json()
    assert found["problem"] == {"kind": "vector", "domain": BOX, "feedback": "gradient", "context": {"kind": "none"}}
    assert found["policy"]["name"] == "optimistic_ftrl"
    assert create(served).status_code == 200
    assert create(served, feedback="gradient").status_code == 200
    assert create(served, horizon=9).status_code == 409
    spec = Spec.from_stored(json.loads(served.store.experiments()[-1].spec))
    assert spec.to_json()["problem"] == found["problem"]


def test_losses_are_told_whole(served: Served) -> None:
    simplex = {"kind": "simplex", "dimension": 2}
    assert create(served, "l", {"name": "optimistic_omd"}, domain=simplex, feedback="losses").status_code == 201
    assert ask(served, "l")["point"] == [0.5, 0.5]
    for body, code in (
        ({"detail": {"losses": [1.0, 3.0], "value": 2.0}}, "unexpected_value"),
        ({"value": -2.0, "detail": {"losses": [1.0, 3.0]}}, "unexpected_value"),
        ({"detail": {"gradient": [1.0, 3.0]}}, "unexpected_detail"),
    ):
        assert_refused(served.reward("~0", body, "l"), 422, code)
    assert served.reward("~0", {"detail": {"losses": [1.0, 3.0]}}, "l").json() == {"status": "accepted"}
    assert served.events("l")[1].reward == -2.0
    assert ask(served, "l")["point"][0] > 0.5


def test_an_archived_experiment_takes_no_more(served: Served) -> None:
    ask(served)
    assert served.post("/v1/experiments/v:archive").status_code == 200
    assert_refused(served.decide({}, "v"), 409, "archived")
    assert_refused(served.reward("~0", told(0), "v"), 409, "archived")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_log_of_the_service_is_verified(
    served: Served, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    walk(served, 20)
    digest = served.digest("v")
    served.stop()
    file = str(tmp_path / f"v.{ending}")
    assert run(["export", "v", file, "--database", served.url]) == 0
    for source in (["--database", served.url], [file]):
        capsys.readouterr()
        assert run(["verify", *source, "--json"]) == 0
        found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["v"]
        assert (found["digest"], found["first_difference"], found["decisions"]) == (digest, None, 20)
        assert found["events"] == 34 and "bad_lines" not in found
    served.start()


def test_a_point_that_was_changed_on_record_is_found(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    walk(served, 5)
    with served.store._transaction() as connection:
        statement = sa.text(f"UPDATE event SET vector = :value WHERE kind = {DECIDE} AND number = 3")
        assert connection.execute(statement, {"value": np.array([0.0, 0.25, -0.125]).tobytes()}).rowcount == 1
    served.stop()
    capsys.readouterr()
    assert run(["verify", "--database", served.url, "--json"]) == 1
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["v"]
    assert found["first_difference"] == 3
    served.start()


def test_examples_are_pairs_with_the_loss_that_they_had(served: Served) -> None:
    assert_refused(create(served, "x", feedback="example"), 422, "no_policy")  # the loss must be named
    assert create(served, "x", {"name": "implicit_omd"}, feedback="example").status_code == 201
    engine = onearm.open("implicit_omd", domain=BOX, feedback="example", seed=5)
    pair = {"a": [1.0, -2.0, 0.5], "b": 0.25}
    decision = engine.decide()
    assert ask(served, "x")["point"] == decision.point.tolist()
    for body, code in (
        ({"detail": {"example": pair}}, "bad_reward"),
        ({"detail": {"example": pair | {"a": [1.0]}, "value": 1.0}}, "bad_detail"),
        ({"detail": {"example": {"a": [1.0, 2.0, 3.0]}, "value": 1.0}}, "bad_body"),
        ({"detail": {"value": 1.0}}, "missing_detail"),
    ):
        assert_refused(served.reward("~0", body, "x"), 422, code)
    assert served.reward("~0", {"detail": {"example": pair, "value": 0.8125}}, "x").status_code == 200
    engine.learn(decision, loss=0.8125, example=(pair["a"], pair["b"]))
    assert served.digest("x") == engine.digest()
    learned = served.events("x")[1]
    assert (learned.reward, learned.detail) == (-0.8125, "[1.0, -2.0, 0.5, 0.25]")
    assert served.record("~0", "x").json()["reward"]["detail"] == {"example": pair}
