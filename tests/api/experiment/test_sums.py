"""Running sums are what the log adds up to, bit for bit, however they came about; and a report reads no log."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import math
from typing import Any

import pytest
import sqlalchemy as sa
from support.served import Served

from onearm.api.cli.main import run
from onearm.api.experiment.sums import Tally, fresh, packed
from onearm.api.kinds.queries.report import Answers
from onearm.engine import snapshot
from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import SUMS
from onearm.engine.storage.tables import SNAPSHOT, SNAPSHOT_PART

BOX = {"kind": "box", "low": [-1.0, 0.0], "high": [1.0, 0.5]}
NO_SNAPSHOTS = (sa.delete(SNAPSHOT), sa.delete(SNAPSHOT_PART))


@pytest.fixture
def busy(served: Served) -> Served:
    """Return a service with an experiment of each kind at work; some rewards are missing, an arm joins in `e`."""
    for t in range(20):
        made = served.decide({}).json()["decision_id"]
        if t % 3:
            served.reward(made, math.sin(t) * 10.0 ** (t % 4))
        if t == 9:
            assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
    examples = {"examples": [{"action_id": "b", "value": 7.0, "propensity": 0.5}]}
    served.post("/v1/experiments/e/examples:batch", examples)
    served.create("quiet", policy={"name": "bag"}, problem={"context": {"kind": "dense", "length": 1}})
    problem = {"actions": {"kind": "listed", "length": 1, "max": 3}}
    served.create("l", arms=[], problem=problem, policy={"name": "squarecb"})
    for kind, name, feedback in (("vector", "v", "gradient"), ("vector", "w", "reward")):
        policy = {"policy": {"name": "point_gradient", "params": {"policy": RING}}} if name == "w" else {}
        problem = {"kind": kind, "domain": BOX, "horizon": 50, "feedback": feedback}
        assert served.post("/v1/experiments", {"experiment_id": name, "problem": problem, **policy}).status_code == 201
    problem = {"kind": "queries", "task": "arms", "queries": 3, "horizon": 30}
    served.post("/v1/experiments", {"experiment_id": "q", "problem": problem, "policy": {"name": "uniform_budget"}})
    served.post("/v1/experiments", {"experiment_id": "s", "problem": {"kind": "arm_stream"}})
    served.post("/v1/experiments/s/arms", {"id": "first"})
    for t in range(8):
        actions = [{"id": f"{t}-{a}", "features": [a]} for a in range(1 + t % 3)]
        made = {
            "l": served.decide({"actions": actions}, "l").json(),
            "quiet": served.decide({"context": [t / 8]}, "quiet").json(),
            **{name: served.decide({}, name).json() for name in "vwqs"},
        }
        said: dict[str, Any] = {
            "l": t * t,
            "quiet": -t,
            "v": {"detail": {"gradient": [math.sin(t), 0.1], "value": t / 7}},
            "w": t / 3,
            "q": t / 5,
            "s": {"value": 0.5, "pulls": 1},
        }
        for name, body in said.items():
            if t != 5:
                answer = served.reward(made[name]["decision_id"], body, name)
                assert answer.status_code == 200, answer.text
    return served


RING = {"name": "ftrl", "params": {}}
NAMES = ["e", "quiet", "l", "v", "w", "q", "s"]


def sums(served: Served) -> dict[str, bytes]:
    return {name: snapshot.pack(served.service.live(name).tally.sums) for name in NAMES}


def alter(served: Served, *changes: sa.Update | sa.Delete) -> None:
    """Change the database while the service is stopped, and start it again."""
    served.stop()
    engine = sa.create_engine(served.url)
    with engine.begin() as connection:
        for change in changes:
            assert connection.execute(change).rowcount > 0
    engine.dispose()
    served.start()


def test_sums_are_the_same_as_events_come_from_snapshots_and_from_the_log(busy: Served) -> None:
    as_they_came = sums(busy)
    assert len(set(as_they_came.values())) == len(NAMES), "each has something else to tell"
    busy.restart()
    assert sums(busy) == as_they_came
    alter(busy, *NO_SNAPSHOTS)
    assert sums(busy) == as_they_came
    busy.reward(busy.decide({}).json()["decision_id"], 3.0)
    later = sums(busy)
    assert later["e"] != as_they_came["e"]
    busy.restart()
    assert sums(busy) == later


NO_GOOD_SUMS = (
    sa.update(SNAPSHOT_PART).values(state=b"onearm state 1"),
    sa.update(SNAPSHOT_PART).values(state=b""),
    sa.delete(SNAPSHOT_PART),  # the last one: no snapshot is written before there are events again
)


def test_where_a_snapshot_has_no_good_sums_the_log_is_counted(busy: Served, caplog: pytest.LogCaptureFixture) -> None:
    as_they_came, digest = sums(busy), busy.digest()
    for change in NO_GOOD_SUMS:
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "onearm"):
            alter(busy, change.where(SNAPSHOT_PART.c.part == SUMS))
        assert sums(busy) == as_they_came and busy.digest() == digest
        told = [record for record in caplog.records if "no sums" in record.getMessage()]
        assert all("the log is counted instead" in one.getMessage() for one in told)
        assert logging.DEBUG in [one.levelno for one in told if "'v'" in one.getMessage()]
        assert [one.levelno for one in told].count(logging.WARNING) == 1


def test_a_report_and_diagnostics_read_no_log(busy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """They took a second and more for 10^6 events, while others waited."""

    def read(*args: Any, **named: Any) -> Any:
        raise AssertionError("the log is read")

    for name in ("_read", "columns", "read_events", "since", "windowed"):
        monkeypatch.setattr(busy.store, name, read)
    for name in NAMES:
        status = 422 if name == "s" else 200  # of arms that come once there is no report
        assert busy.get(f"/v1/experiments/{name}/report").status_code == status
        assert busy.get(f"/v1/experiments/{name}/diagnostics").status_code == 200


def verified(served: Served) -> tuple[int, dict[str, str]]:
    """Return the exit code of verify, and what is wrong with snapshots."""
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out):
        code = run(["verify", "--database", served.url, "--json"])
    found = json.loads(out.getvalue())["experiments"]
    assert all(one["first_difference"] is None for one in found)
    return code, {one["id"]: one["bad_snapshot"] for one in found if "bad_snapshot" in one}


def test_verify_compares_snapshots_with_what_their_logs_fold_to(busy: Served) -> None:
    busy.restart()
    busy.reward(busy.decide({}).json()["decision_id"], 3.0)
    busy.restart()
    assert verified(busy) == (0, {})
    wrong = packed(busy.service.live("quiet").tally.sums)
    key, vector = busy.service.live("e").row.key, busy.service.live("v").row.key
    parts = (
        sa.select(SNAPSHOT_PART.c.state).where(SNAPSHOT_PART.c.experiment == vector, SNAPSHOT_PART.c.part == 0).limit(1)
    )
    engine = sa.create_engine(busy.url)
    with engine.begin() as connection:
        state = bytearray(connection.scalar(parts))
        state[-1] ^= 1  # of the last number
        mine = (SNAPSHOT_PART.c.experiment == key) & (SNAPSHOT_PART.c.part == SUMS)
        connection.execute(sa.update(SNAPSHOT_PART).where(mine).values(state=wrong))
        mine = SNAPSHOT.c.experiment == vector
        connection.execute(sa.update(SNAPSHOT).where(mine).values(digest=hashlib.sha256(state).hexdigest()))
        mine = (SNAPSHOT_PART.c.experiment == vector) & (SNAPSHOT_PART.c.part == 0)
        connection.execute(sa.update(SNAPSHOT_PART).where(mine).values(state=bytes(state)))
    engine.dispose()
    code, bad = verified(busy)
    assert code == 1 and set(bad) == {"e", "v"}
    assert "other sums" in bad["e"] and "another state" in bad["v"]


def test_a_report_is_of_what_is_committed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.decide({})

    def fail(*args: Any) -> None:
        raise Unavailable("commit_failed", "nothing was written: see that the disk has room, then try again")

    with monkeypatch.context() as broken:
        broken.setattr(served.store, "append", fail)
        assert served.decide({}).status_code == 503
    for _ in range(500):
        answer = served.get("/v1/experiments/e/report")
        if answer.status_code == 200:
            break
    assert answer.json()["decisions"] == 1


def test_of_many_arms_a_report_is_made_beside_the_event_loop(served: Served) -> None:
    arms = [{"id": f"a{i}"} for i in range(600)]
    served.create("many", arms=arms)
    served.reward(served.decide({}, "many").json()["decision_id"], 2.0, "many")
    found = served.get("/v1/experiments/many/report").json()
    assert len(found["arms"]) == 600 and sum(arm["rewards"] for arm in found["arms"]) == found["rewards"] == 1


def test_answers_are_told_apart_and_growth_keeps_what_there_is() -> None:
    tally = Tally(fresh(2))
    tally.decide(1, None)
    tally.enter(1, 4.0)
    wide = tally.grown(3)
    wide.decide(2, 0.5)
    wide.enter(2, 6.0)
    assert (wide.decided(1), wide.decided(2), wide.unknown) == (1, 1, 1)
    assert (wide.all.reward_mean, wide.mean(1).reward_mean, wide.mean(2).reward_mean) == (5.0, 4.0, 6.0)
    assert Tally(fresh(0)).grown(4).choices == 0, "where choices are not told apart they never are"
    assert isinstance(Answers(fresh(2)).grown(3), Answers)
