"""Every kind of feedback on vectors, from the first decision to a crash: HTTP, Python and the log say the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.every_run import every_run
from support.served import Served, assert_problem, assert_refused
from support.vector_log import KINDS, POINTS, Kind, crashed, folded, gradient

import onearm
from onearm.api.cli.main import run
from onearm.engine.storage.tables import SNAPSHOT

ORDER = [2, 0, 5, 3, 4, 8, 7]  # decisions in the order of their feedback; 1, 6, 9, 10 and 11 never have any
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.feedback)
some_kinds = pytest.mark.parametrize("kind", every_run(KINDS, KINDS[1::2]), ids=lambda kind: kind.feedback)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def play(kind: Kind, served: Served, engine: Any, start: int = 0) -> None:
    """Decide 12 times and tell 7 of them, some late, over HTTP and in Python; points are the same to the bit."""
    made = {}
    for t in range(start, start + 12):
        made[t] = engine.decide()
        assert kind.decide(served) == made[t].point.tolist()
        if (place := t - start - 3) in range(len(ORDER)):
            late = start + ORDER[place]
            assert kind.reward(served, late).json() == {"status": "accepted"}
            engine.learn(made[late], **kind.python(late))


def assert_same(kind: Kind, served: Served, engine: Any) -> None:
    assert served.digest(kind.feedback) == engine.digest() == folded(served, kind.feedback)
    found = served.get(f"/v1/experiments/{kind.feedback}/diagnostics").json()
    for name, number in engine.certificate._asdict().items():
        told = found["certificate" if name == "bound" else name]
        assert told is None if math.isnan(number) else told == number
    assert {name: (one["value"], one["source"]) for name, one in found["constants"].items()} == {
        name: (None if math.isnan(value) else value, source) for name, (value, source) in engine.constants.items()
    }


@kinds
def test_http_python_and_the_log_say_the_same_also_after_a_crash(kind: Kind, served: Served, tmp_path: Path) -> None:
    kind.create(served)
    engine = kind.engine()
    fresh = engine.digest()
    play(kind, served, engine)
    assert engine.digest() != fresh
    assert_same(kind, served, engine)
    with crashed(served, tmp_path / "crash") as again:  # nothing was stopped, and no snapshot made
        assert_same(kind, again, engine)
        play(kind, again, engine, start=12)
        assert_same(kind, again, engine)
        again.restart()  # with a snapshot
        assert_same(kind, again, engine)
        with again.store._transaction() as connection:
            assert connection.execute(sa.delete(SNAPSHOT)).rowcount >= 1
        again.restart()
        play(kind, again, engine, start=24)
        assert_same(kind, again, engine)


@kinds
def test_the_log_is_verified(kind: Kind, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    kind.create(served)
    play(kind, served, kind.engine())
    digest = served.digest(kind.feedback)
    served.stop()
    capsys.readouterr()
    assert run(["verify", "--database", served.url, "--json"]) == 0
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}[kind.feedback]
    assert (found["digest"], found["first_difference"], found["decisions"]) == (digest, None, 12)
    served.start()


@pytest.mark.covering
@some_kinds
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_the_same_again_is_a_duplicate_and_another_is_refused(kind: Kind, served: Served, restarted: bool) -> None:
    kind.create(served)
    first = kind.decide(served, decision_id="x")
    assert served.reward("x", kind.http(1), kind.feedback).json() == {"status": "accepted"}
    before, digest = served.everything(), served.digest(kind.feedback)
    if restarted:
        served.restart()
    again = served.decide({"decision_id": "x"}, kind.feedback)
    assert again.status_code == 200 and again.headers["idempotency-replayed"] == "true"
    assert again.json()["points" if kind.feedback == "two_rewards" else "point"] == first
    assert served.reward("x", kind.http(1), kind.feedback).json() == {"status": "duplicate"}
    for other in (kind.http(2), kind.http(1) | {"reward_id": "r"}):
        assert_refused(served.reward("x", other, kind.feedback), 409, "reward_exists")
    assert (served.everything(), served.digest(kind.feedback)) == (before, digest)


@some_kinds
def test_a_reward_id_is_part_of_what_is_the_same(kind: Kind, served: Served) -> None:
    kind.create(served)
    kind.decide(served)
    assert served.reward("~0", kind.http(1) | {"reward_id": "r"}, kind.feedback).json() == {"status": "accepted"}
    assert served.reward("~0", kind.http(1) | {"reward_id": "r"}, kind.feedback).json() == {"status": "duplicate"}
    assert_refused(served.reward("~0", kind.http(1), kind.feedback), 409, "reward_exists")
    assert served.record("~0", kind.feedback).json()["reward"]["reward_id"] == "r"


@some_kinds
def test_batches_answer_in_order_and_a_bad_one_fails_alone(kind: Kind, served: Served) -> None:
    kind.create(served)
    engine = kind.engine()
    asked = [{}, {"explain": True}, {"decision_id": "own"}]
    made = served.post(f"/v1/experiments/{kind.feedback}/decisions:batch", {"decisions": asked}).json()["decisions"]
    assert [one.get("decision_id") for one in made] == ["~0", None, "own"]
    assert_problem(made[1], 422, "unexpected_field")
    here = [engine.decide(), engine.decide()]
    named = "points" if kind.feedback == "two_rewards" else "point"
    assert [one[named] for one in (made[0], made[2])] == [one.point.tolist() for one in here]
    told = [
        {"decision_id": "own", **kind.http(1)},
        {"decision_id": "~7", **kind.http(2)},
        {"decision_id": "~0"},
        {"decision_id": "own", **kind.http(1)},
        {"decision_id": "~0", **kind.http(3)},
    ]
    found = served.post(f"/v1/experiments/{kind.feedback}/rewards:batch", {"rewards": told}).json()["rewards"]
    assert [one["status"] for one in found] == ["accepted", 404, 422, "duplicate", "accepted"]
    engine.learn(here[1], **kind.python(1))
    engine.learn(here[0], **kind.python(3))
    assert_same(kind, served, engine)


@kinds
def test_the_answer_and_the_log_say_one_where_the_point_is_certain_and_null_where_it_is_drawn(
    kind: Kind, served: Served
) -> None:
    kind.create(served)
    wanted = 1.0 if kind.certain else None
    assert served.decide({}, kind.feedback).json()["propensity"] == wanted
    assert served.events(kind.feedback)[0].propensity == wanted
    assert served.record("~0", kind.feedback).json()["propensity"] == wanted
    assert math.isnan(kind.engine().decide().propensity) != kind.certain
    share = served.get(f"/v1/experiments/{kind.feedback}/diagnostics").json()["unknown_propensity_share"]
    assert share == (0.0 if kind.certain else 1.0)


@some_kinds
def test_nothing_explains_a_vector_and_that_is_said(kind: Kind, served: Served) -> None:
    kind.create(served)
    before = served.everything()
    assert_refused(served.decide({"explain": True}, kind.feedback), 422, "unexpected_field")
    assert served.everything() == before
    assert not hasattr(kind.engine(), "explain")


WRITTEN: dict[str, tuple[float, str | None, dict[str, Any]]] = {  # of decision 1: the reward, the detail, and as told
    "gradient": (-1 / 7, "negative", {"gradient": gradient(1)}),
    "losses": (0.0, "negative", {"losses": gradient(1)}),
    "reward": (math.sin(1), None, {}),
    "two_rewards": (sum(gradient(1)[:2]) / 2, "positive", {"values": [-x for x in gradient(1)[:2]]}),
    "example": (-1 / 7, "positive", {"example": {"a": gradient(1), "b": 1 / 9 - 1}}),
}


@kinds
def test_what_is_written_is_of_the_reward_and_what_is_told_is_of_the_loss(kind: Kind, served: Served) -> None:
    kind.create(served)
    point = kind.decide(served)
    served.reward("~0", kind.http(1), kind.feedback)
    event, record = served.events(kind.feedback)[1], served.record("~0", kind.feedback).json()["reward"]
    reward, sign, told = WRITTEN[kind.feedback]
    if kind.feedback == "losses":
        reward = -sum(x * y for x, y in zip(point, gradient(1), strict=True))
    assert event.reward == pytest.approx(reward, rel=1e-15)
    assert (record["value"], record["detail"]) == (event.reward, told)
    numbers = {
        "negative": [-x for x in gradient(1)],
        "positive": gradient(1)[:2] if kind.feedback == "two_rewards" else [*gradient(1), 1 / 9 - 1],
    }
    assert event.detail == (None if sign is None else json.dumps(numbers[sign]))


@some_kinds
def test_points_are_where_the_domain_is(kind: Kind, served: Served) -> None:
    kind.create(served)
    engine = kind.engine()
    play(kind, served, engine)
    points = engine.decide().point.reshape(-1, 3)
    if kind.feedback == "losses":
        assert points.min() >= 0.0 and points.sum() == pytest.approx(1.0, rel=1e-12)
    else:
        assert (points >= kind.domain["low"]).all() and (points <= kind.domain["high"]).all()


def test_a_forecast_for_a_policy_that_is_wrapped_is_of_the_loss_too(served: Served) -> None:
    inner = {"name": "optimistic_omd", "params": {"hint": "context"}}
    policy = {"name": "point_gradient", "params": POINTS["params"] | {"policy": inner}}
    body = KINDS[2].body | {"policy": policy}
    assert served.post("/v1/experiments", body).status_code == 201
    assert served.get("/v1/experiments/reward").json()["problem"]["context"] == {"kind": "dense", "length": 3}
    engine = onearm.open(policy, domain=KINDS[2].domain, feedback="reward", seed=5)
    for t in range(4):
        answer, decision = served.decide({"hint": gradient(t)}, "reward"), engine.decide(hint=gradient(t))
        assert answer.json()["point"] == decision.point.tolist()
    assert served.record("~1", "reward").json()["context"] == [-x for x in gradient(1)]
    assert_refused(served.decide({"context": gradient(1)}, "reward"), 422, "bad_context")


def test_a_commit_that_fails_leaves_the_state_of_vectors_as_it_was(served: Served) -> None:
    kind = KINDS[0]
    kind.create(served)
    engine = kind.engine()
    play(kind, served, engine)
    before = served.everything()
    writer = served.store._writer
    assert writer is not None
    pages = writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    writer.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    writer.rollback()
    big = b'{"decision_id": "big"}' + b" " * 40_000  # kept as it was sent
    assert_refused(served.decide(big, kind.feedback), 503, "commit_failed")
    served.restart()
    assert served.everything() == before
    assert_same(kind, served, engine)
    assert served.decide(big, kind.feedback).json()["point"] == engine.decide().point.tolist()
