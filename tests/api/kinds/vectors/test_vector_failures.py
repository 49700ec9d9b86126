"""Vectors when things fail: a full disk, a damaged record, a policy that decides nonsense, readers of the state."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from support.served import Served, assert_refused
from support.vector_log import KINDS, folded

from onearm.api.service import keeping
from onearm.api.service.live import Live
from onearm.api.service.records import Record
from onearm.engine.errors import Unavailable
from onearm.engine.storage.tables import SNAPSHOT
from onearm.engine.vocabulary import DECIDE, Decision

KIND = KINDS[0]
REWARD = "/v1/experiments/gradient/decisions/{}/reward"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        KIND.create(served)
        yield served


def live(served: Served, experiment_id: str = "gradient") -> Live:
    return served.service.live(experiment_id)


def snapshots(served: Served) -> int:
    """Count the snapshots, once what was queued before is written."""
    served.decide({})
    with served.store._transaction() as connection:
        count: int = connection.execute(sa.select(sa.func.count()).select_from(SNAPSHOT)).scalar_one()
    return count


def post_all(served: Served, calls: list[tuple[str, dict[str, Any]]]) -> list[httpx.Response]:
    """Post all at once, on the service's own event loop."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await asyncio.gather(*(client.post(path, json=body) for path, body in calls))

    return on_the_loop(served, ask)


def on_the_loop(served: Served, ask: Callable[[], Any]) -> Any:
    assert served.client.portal is not None
    return served.client.portal.call(ask)


def test_feedback_is_not_answered_before_its_commit_nor_is_the_same_again(served: Served) -> None:
    """Each feedback is sent twice at once while the disk fills up: what is not on record was accepted by neither."""
    for _ in range(150):
        KIND.decide(served)
    writer = served.store._writer
    assert writer is not None
    pages = writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    writer.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")
    writer.rollback()
    failed: set[int] = set()
    for t in range(150):
        pair = post_all(served, [(REWARD.format(f"~{t}"), KIND.http(t))] * 2)
        codes = {answer.status_code for answer in pair}
        assert codes in ({200}, {503}), [answer.text for answer in pair]
        failed |= {t} if codes == {503} else set()
        if len(failed) == 2:
            break
    assert failed, "the disk never was full"
    served.restart()
    rewarded = {event.number for event in served.events("gradient") if event.kind != DECIDE}
    assert rewarded == set(range(t + 1)) - failed
    assert served.digest("gradient") == folded(served, "gradient")


def test_a_decision_asked_for_twice_at_once_is_one(served: Served) -> None:
    path = "/v1/experiments/gradient/decisions"
    answers = post_all(served, [(path, {"decision_id": "x"})] * 3)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert len({answer.text for answer in answers}) == 1
    answers = post_all(served, [(REWARD.format("x"), KIND.http(1))] * 3)
    assert sorted(answer.json()["status"] for answer in answers) == ["accepted", "duplicate", "duplicate"]
    assert len(served.events("gradient")) == 2


def test_feedback_waits_while_another_thread_reads_the_state(served: Served) -> None:
    KIND.decide(served)
    found = live(served)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            found.reading.begin()
            told = asyncio.create_task(client.post(REWARD.format("~0"), json=KIND.http(0)))
            for _ in range(20):
                await asyncio.sleep(0)
            assert found.rewards == 0 and not told.done()
            found.reading.end()
            return await told

    assert on_the_loop(served, ask).json() == {"status": "accepted"}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (math.nan, "coordinate 1 is nan"),
        (math.inf, "coordinate 1 is inf"),
        (0.75, "coordinate 1 is 0.75, 0.25 beyond its limits 0 and 0.5"),
    ],
)
def test_a_point_that_is_not_in_the_domain_is_not_written(
    served: Served, monkeypatch: pytest.MonkeyPatch, bad: float, why: str
) -> None:
    found, before = live(served), served.everything()
    monkeypatch.setattr(found._select, "call", lambda *_: Decision(np.array([0.0, bad, 0.0]), 1.0))
    detail = assert_refused(served.decide({}, "gradient"), 500, "impossible_point")["detail"]
    assert f"policy {found.spec.policy.name!r} decided a point that is not in the domain at decision 0: {why}" in detail
    assert served.everything() == before
    monkeypatch.undo()
    assert served.decide({}, "gradient").json()["decision_id"] == "~0"


def test_a_damaged_point_is_named_when_it_is_read(served: Served) -> None:
    for t in range(3):
        KIND.decide(served)
        KIND.reward(served, t)
    served.restart()  # from its snapshot: the log is not read
    with served.store._transaction() as connection:
        statement = sa.text(f"UPDATE event SET vector = :value WHERE kind = {DECIDE} AND number = 1")
        assert connection.execute(statement, {"value": bytes(20)}).rowcount == 1
    found = assert_refused(served.record("~1", "gradient"), 500, "bad_action")
    assert "a point of 20 bytes at decision 1" in found["detail"]
    assert served.record("~2", "gradient").status_code == 200


@pytest.mark.parametrize("what", ["decisions", "feedback"])
def test_a_snapshot_is_due_after_as_many_bytes_of_points_as_four_states(
    served: Served, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    d = 200
    body = {"experiment_id": "wide", "problem": {"kind": "vector", "domain": {"kind": "ball", "dimension": d}}}
    assert served.post("/v1/experiments", body).status_code == 201
    found, made, told = live(served, "wide"), 0, {"detail": {"gradient": [0.123] * d}}
    if what == "feedback":
        served.post("/v1/experiments/wide/decisions:batch", {"decisions": [{}] * 200})
    monkeypatch.setattr(keeping, "SNAPSHOT_BYTES", 1)
    found.keeping._bytes_since = 0
    before = snapshots(served)
    while snapshots(served) == before:
        if what == "decisions":
            served.decide({}, "wide")
        else:
            served.reward(f"~{made}", told, "wide")
        made += 1
        assert made < 200
    bytes_each = 8 * d if what == "decisions" else len(str([-0.123] * d))
    assert 3.5 * found.state_bytes < made * bytes_each < 4 * found.state_bytes + 2 * bytes_each


def test_a_point_counts_in_the_cache(served: Served) -> None:
    KIND.decide(served)
    (event,) = served.events("gradient")
    assert Record(event).size - Record(event._replace(vector=None)).size == 3 * 8


def test_minus_zero_is_zero_on_record_and_the_same_feedback(served: Served) -> None:
    example = KINDS[4]
    example.create(served)
    for _ in range(2):
        example.decide(served)
        KIND.decide(served)
    minus = {"detail": {"example": {"a": [-0.0, 1.0, 0.0], "b": -0.0}, "value": 0.0}}
    plus = {"value": -0.0, "detail": {"example": {"a": [0.0, 1.0, -0.0], "b": 0.0}}}
    assert served.reward("~0", minus, "example").json() == {"status": "accepted"}
    assert served.reward("~0", plus, "example").json() == {"status": "duplicate"}
    assert served.reward("~1", plus, "example").json() == {"status": "accepted"}
    for event in served.events("example")[2:]:
        assert (str(event.reward), event.detail) == ("0.0", "[0.0, 1.0, 0.0, 0.0]")
    assert served.reward("~0", {"detail": {"gradient": [0.0, -0.0, 1.0]}}, "gradient").status_code == 200
    assert served.events("gradient")[2].detail == "[0.0, 0.0, -1.0]"


def test_a_density_is_null_in_the_event_and_not_a_number_that_only_sqlite_takes_for_it(served: Served) -> None:
    drawn = KINDS[2]
    drawn.create(served)
    drawn.decide(served)
    record = live(served, "reward").records.known(0)
    assert record is not None and record.event.propensity is None


def test_an_experiment_that_folds_its_log_tells_neither_certificate_nor_constants(served: Served) -> None:
    found = live(served)
    told = served.get("/v1/experiments/gradient/diagnostics").json()
    assert told["constants"] and told["certificate"] == found.proof().bound == 0.0
    found.stop(Unavailable("recovering", "the log is folded: try again"))
    with pytest.raises(Unavailable, match="the log is folded"):
        found.proof()
    assert_refused(served.get("/v1/experiments/gradient/diagnostics"), 503, "recovering")
