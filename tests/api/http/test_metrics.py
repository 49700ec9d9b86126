"""`/metrics`: what Prometheus' own parser reads there is what happened, for the operator alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.direct import Direct
from support.keyed import Keyed
from support.listening import Listening
from support.served import Served

from onearm.api.cli import main
from onearm.api.http import metrics
from onearm.api.http.app import create_app
from onearm.api.http.connection import Limits
from onearm.api.http.routes import TABLE
from onearm.api.http.schemas import Decide
from onearm.api.service.live import Live, Sent
from onearm.engine.storage.outbox import Outbox
from onearm.engine.storage.records import Published
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, Decision

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Direct]:
    with Direct(create_app(Store.open(f"sqlite:///{tmp_path}/run.db"))) as client:
        yield client


def read(client: Any) -> Series:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def one(series: Series, name: str, **labels: str) -> float:
    return series[name, frozenset(labels.items())]


def play(client: Any, name: str, decisions: int, rewards: int) -> None:
    body = {"experiment_id": name, "arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "ucb1"}}
    assert client.post("/v1/experiments", json=body).status_code == 201
    for i in range(decisions):
        decision = client.post(f"/v1/experiments/{name}/decisions", json={}).json()["decision_id"]
        if i < rewards:
            path = f"/v1/experiments/{name}/decisions/{decision}/reward"
            assert (answer := client.post(path, json={"value": 1.0})).status_code == 200, answer.text


def test_what_was_asked_and_learned_is_counted(client: Direct) -> None:
    play(client, "banner", 5, 3)
    client.post("/v1/experiments/banner/decisions/none/reward", json={"value": 1.0})
    client.get("/no/such/path")
    found = read(client)
    banner = {"tenant": "default", "experiment": "banner"}
    assert one(found, "onearm_decisions_total", **banner) == 5
    assert one(found, "onearm_rewards_total", **banner) == 3
    assert one(found, "onearm_changes_total", **banner) == 0
    assert one(found, "onearm_state_bytes", **banner) > 0
    assert one(found, "onearm_recovering", **banner) == 0
    decide = {"method": "POST", "route": "/v1/experiments/{experiment_id}/decisions"}
    reward = {"method": "POST", "route": f"{decide['route']}/{{decision_id}}/reward"}
    assert one(found, "onearm_requests_total", **decide, status="201") == 5
    assert one(found, "onearm_requests_total", **reward, status="200") == 3
    assert one(found, "onearm_requests_total", **reward, status="404") == 1
    assert one(found, "onearm_requests_total", method="", route="", status="404") == 1
    assert one(found, "onearm_request_seconds_count", **decide) == 5
    assert one(found, "onearm_request_seconds_bucket", **decide, le="+Inf") == 5
    assert one(found, "onearm_commit_seconds_count") == one(found, "onearm_commit_events_count") >= 1
    assert one(found, "onearm_commit_events_sum") == 8
    assert one(found, "onearm_experiments") == 2  # with hello
    assert one(found, "process_resident_memory_bytes") > 0


def test_a_page_of_another_site_does_not_read_them(client: Direct) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert client.get("/metrics", headers=headers).status_code in (403, 421)


def test_a_change_of_the_world_is_counted(client: Direct) -> None:
    body = {"experiment_id": "shop", "arms": [{"id": "a"}, {"id": "b"}]}
    assert client.post("/v1/experiments", json=body).status_code == 201
    assert client.post("/v1/experiments/shop/world", json={"change": "known"}).status_code == 201
    assert one(read(client), "onearm_changes_total", tenant="default", experiment="shop") == 1


def test_beyond_a_number_of_experiments_sums_are_told(client: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, decisions in (("a", 1), ("b", 2), ("c", 4)):
        play(client, name, decisions, 0)
    monkeypatch.setattr(metrics, "EXPERIMENTS_MAX", 2)  # hello and a
    found = read(client)
    assert one(found, "onearm_decisions_total", tenant="", experiment="") == 6
    assert one(found, "onearm_decisions_total", tenant="default", experiment="a") == 1
    assert ("onearm_decisions_total", frozenset({("tenant", "default"), ("experiment", "b")})) not in found


def test_a_commit_that_fails_is_counted(client: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Store, "append", broken)
    assert client.post("/v1/experiments/hello/decisions", json={}).status_code == 503
    monkeypatch.undo()
    assert one(read(client), "onearm_commits_failed_total") == 1


def test_the_version_is_told(client: Direct) -> None:
    told = client.get("/version").json()
    assert set(told) == {"onearm", "python", "numba", "numpy"} and all(told.values())
    assert one(read(client), "onearm_build_info", version=told["onearm"]) == 1


def test_every_series_is_described(client: Direct, root: Path) -> None:
    """docs/monitoring.md names what is served, and nothing else."""
    play(client, "banner", 1, 1)
    text = client.get("/metrics").text
    served = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("onearm_")}
    page = (root / "docs" / "monitoring.md").read_text().partition("A [node](nodes.md) tells besides")[0]
    described = set(re.findall(r"^\| `(onearm_\w+?)(?:_total)?`", page, re.M))
    assert described == served


def test_labels_of_routes_are_lines_of_the_table(client: Direct) -> None:
    play(client, "banner", 1, 1)
    routes = {dict(labels).get("route") for name, labels in read(client) if name == "onearm_requests_total"}
    assert routes <= {entry.path for entry in TABLE} | {""}


def test_the_operator_alone_reads_them(tmp_path: Path) -> None:
    with Keyed(tmp_path) as service:
        found = read(service.asking("read"))
        refused = service.asking("read", tenant="shop").get("/metrics")
        assert (refused.status_code, refused.json()["code"]) == (403, "operator_needed")
        assert service.asking("write").get("/metrics").status_code == 403
        assert httpx.get(f"http://127.0.0.1:{service.port}/metrics").status_code == 401
        assert httpx.get(f"http://127.0.0.1:{service.port}/version").status_code == 401
    assert one(found, "onearm_decisions_total", tenant="news", experiment="banner") == 0
    assert one(found, "onearm_recovering", tenant="shop", experiment="banner") == 0


def test_propensities_that_are_true_are_no_evidence_and_others_are(client: Direct) -> None:
    body = {"experiment_id": "e", "arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "uniform"}}
    assert client.post("/v1/experiments", json=body).status_code == 201
    read(client)  # from now on draws are watched
    for _ in range(200):
        client.post("/v1/experiments/e/decisions", json={})
    labels = {"tenant": "default", "experiment": "e"}
    assert one(read(client), "onearm_propensity_evidence_log10", **labels) < 1.0
    live = client.app.state.service.live("e")
    for _ in range(200):  # a policy that says one half, and always takes the first arm
        client.portal.call(lie, live)
    assert one(read(client), "onearm_propensity_evidence_log10", **labels) > 4.0


async def lie(live: Live) -> None:
    request = live.kind.request(live, Decide())
    made = live._enter(DECIDE, request, Decision(0, 0.5), Sent(), 0)
    await made.decided


def test_open_decisions_and_what_no_snapshot_holds_are_told(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        play(served.client, "banner", 5, 3)
        labels = {"tenant": "default", "experiment": "banner"}
        found = read(served.client)
        assert one(found, "onearm_open_decisions", **labels) == 2
        assert one(found, "onearm_snapshot_age_seconds", **labels) > 0.0
        served.restart()  # which keeps one
        assert one(read(served.client), "onearm_snapshot_age_seconds", **labels) == 0.0
        served.decide({}, "banner")
        assert one(read(served.client), "onearm_snapshot_age_seconds", **labels) > 0.0


def test_the_last_backup_is_told(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        assert not [name for name, _ in read(served.client) if name == "onearm_backup_timestamp_seconds"]
        begun = time.time()
        assert main.run(["backup", str(tmp_path / "copy.db"), "--database", served.url]) == 0
        assert begun <= one(read(served.client), "onearm_backup_timestamp_seconds") <= time.time()


def test_connections_that_never_became_a_request_are_counted(tmp_path: Path) -> None:
    with Listening(tmp_path, Limits(head_bytes=2000, read_seconds=0.3)) as listening:
        for sent in (b"GET / HTTP/1.1\r\nX: " + b"x" * 3000, b"nonsense\r\n\r\n", b"GET / HT"):
            line = listening.connect()
            line.send(sent)
            line.answer()
            line.close()
        found = read(listening.client)
    for code in ("headers_too_large", "not_http", "request_timeout"):
        assert one(found, "onearm_connections_refused_total", code=code) == 1, code


def test_the_lag_of_a_stream_is_told(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create()
        for _ in range(3):
            served.decide()
        key = next(row.key for row in served.store.experiments() if row.id == "e")
        with closing(Outbox.open(served.url)) as outbox:
            outbox.advance(Published("nats://here/log", key, 1, time=7_000_000))
        assert one(read(served.client), "onearm_publish_lag_events", stream="nats://here/log") == 2
        assert one(read(served.client), "onearm_publish_timestamp_seconds", stream="nats://here/log") == 7
