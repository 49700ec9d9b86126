"""An engine with a log decides as the one in memory does, goes on where it was, and its log is the service's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.every_run import every_run
from support.logged_engines import CASES, Pair
from support.served import Served, assert_sound, log_of

import onearm
from onearm.api.cli.main import run
from onearm.api.http.schemas import DecisionRecord
from onearm.engine.errors import Conflict, InvalidInput, NotFound, Unavailable
from onearm.engine.storage.store import Store

pytestmark = pytest.mark.usefixtures("coarse_quadrature")


def assert_verified(database: str, capsys: pytest.CaptureFixture[str], digest: str) -> None:
    """Check that every decision of the experiment `e` comes out again, and what it folds to."""
    capsys.readouterr()
    assert run(["verify", "--database", database, "--json"]) == 0
    (told,) = (one for one in json.loads(capsys.readouterr().out)["experiments"] if one["id"] == "e")
    assert (told["first_difference"], told["digest"], told.get("note")) == (None, digest, None)


@pytest.mark.parametrize("name", every_run(CASES, [*CASES][::3]))
def test_it_decides_as_in_memory_and_goes_on_where_it_was(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = Pair(name, tmp_path)
    for turn in range(4):
        pair.play(7)
        pair.assert_same()
        pair.again(alone=turn % 2 == 0)
        pair.assert_same()
    pair.play(5)
    digest = pair.memory.digest()
    pair.durable.close()
    assert_verified(pair.here["database"], capsys, digest)
    store = Store.open(pair.here["database"], write=False)
    _, events = log_of(store, "e")
    store.close()
    assert_sound(events)


@pytest.mark.parametrize("name", every_run(CASES, [*CASES][1::3]))
def test_a_service_takes_it_over_and_gives_it_back(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decisions that have no reward when one of them ends are open for the other."""
    pair = Pair(name, tmp_path, commit=10)
    pair.play(12)
    here, _ = pair.memory.digest(), pair.durable.close()
    with Served(tmp_path) as served:
        assert served.digest("e") == here
        served.assert_consistent("e") if name not in UNREAD else None
        for memory, _ in pair.waiting:
            found = served.record(memory.decision_id)
            assert found.status_code == 200 and found.json()["reward"] is None, found.text
            told = found.json()
            propensity = (
                math.prod(slot["propensity"] for slot in told["slots"]) if "slots" in told else told["propensity"]
            )
            assert memory.propensity == pytest.approx(math.nan if propensity is None else propensity, nan_ok=True)
        rewarded, _ = pair.waiting.pop()
        answer = served.reward(rewarded.decision_id, REWARDS.get(name, {"value": 1.0}))
        assert answer.json() == {"status": "accepted"}, answer.text
        there = served.digest("e")
    assert_verified(pair.here["database"], capsys, there)
    engine: Any = onearm.open(**pair.here)
    assert engine.digest() == there
    with pytest.raises(Conflict, match="already has feedback"):
        pair.case.learn(engine, rewarded, pair.random)
    for _, held in pair.waiting:
        pair.case.learn(engine, held, pair.random)
    pair.case.learn(engine, pair.case.decide(engine, pair.random), pair.random)
    digest = engine.digest()
    engine.close()
    assert_verified(pair.here["database"], capsys, digest)


@pytest.mark.parametrize("name", every_run(CASES, [*CASES][2::3]))
def test_it_tells_what_a_service_does(name: str, tmp_path: Path) -> None:
    pair = Pair(name, tmp_path, commit=50)
    pair.play(12)
    engine, held = pair.durable, pair.waiting[-1][1]
    number, report, record = engine.number, engine.report(), engine.record(held)
    assert engine.record(held.decision_id) == record
    curve = engine.curve("hour") if engine._kind.has_curve else None
    pair.play(5)
    pair.assert_same()
    engine.close()
    with Served(tmp_path) as served:
        there = served.record(held.decision_id).json()
        assert msgspec.convert(there, DecisionRecord).seq == record.seq
        assert (there["sent"], there["time"]) == (msgspec.to_builtins(record)["sent"], record.time)
        now = served.get("/v1/experiments/e/report").json()
        assert (report.decisions, now["decisions"]) == (number, pair.memory.number)
        assert report.seq < now["seq"]
        if curve is not None:
            assert sum(span.decisions for span in curve.spans) == report.decisions


def test_what_json_cannot_say_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    here: dict[str, Any] = {"database": f"sqlite:///{tmp_path / 'run.db'}", "experiment": "e", "arms": 2, "seed": 1}
    with onearm.open("squarecb", **here, context={"kind": "features", "bits": 8}) as engine:
        for thing in (len, object()):
            with pytest.raises(InvalidInput, match="which JSON cannot say") as refused:
                engine.decide({"q": "x", "_about": thing})
            assert refused.value.code == "bad_feature"
        made = engine.decide({"q": "x", "_about": np.arange(2), "price": np.float32(0.5)})
        assert made.number == 0
    store = Store.open(here["database"], write=False)
    _, (event,) = log_of(store, "e")
    store.close()
    assert json.loads(event.sent or "") == {"context": {"q": "x", "_about": [0, 1], "price": 0.5}}


def test_in_memory_there_is_no_log_to_tell_of() -> None:
    engine = onearm.open("ucb1", arms=2)
    for call in (engine.report, engine.curve, lambda: engine.record(0)):
        with pytest.raises(InvalidInput, match="is made of a log, and all is in memory") as refused:
            call()
        assert refused.value.code == "no_log"


@pytest.mark.parametrize("commit", ["each", 7])
def test_postgresql_keeps_the_same_log(commit: str | int, postgres_url: str, tmp_path: Path) -> None:
    pair = Pair("contexts", tmp_path, commit=commit, database=postgres_url)
    for _ in range(2):
        pair.play(20)
        pair.again()
        pair.assert_same()
    with pytest.raises(Unavailable, match="is in use by another process"):
        Store.open(postgres_url)
    pair.durable.close()
    assert run(["verify", "--database", postgres_url, "--json"]) == 0


UNREAD = {"states", "sticky", "vector", "hints", "two points", "queries"}  # by the second hand that folds logs
REWARDS: dict[str, dict[str, Any]] = {
    "states": {"value": 1.0, "next_state": "low"},
    "vector": {"detail": {"value": 1.0, "gradient": [1.0, 0.5]}},
    "hints": {"detail": {"value": 1.0, "gradient": [1.0, 0.5]}},
    "two points": {"values": [1.0, 0.5]},
}


def test_an_id_of_the_service_has_digits_of_ascii(tmp_path: Path) -> None:
    with onearm.open(arms=2, database=f"sqlite:///{tmp_path / 'o.db'}", experiment="e") as engine:
        for _ in range(2):
            engine.decide()
        for other in ("~\u0661", "~1_0", "~"):
            with pytest.raises(NotFound):
                engine.learn(other, reward=1.0)
        engine.learn("~1", reward=1.0)
        assert engine.rewards == 1
