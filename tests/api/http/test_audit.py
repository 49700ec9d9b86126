"""The audit log: what admins did is there with who, when and from where, and no secret is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.keyed import NEW, Keyed

from onearm.api.http.routes import TABLE

STREAM = {"experiment_id": "s", "problem": {"kind": "arm_stream"}}
ADAPTIVE = NEW | {"experiment_id": "w", "policy": {"name": "adaptive", "params": {"policy": {"name": "ucb1"}}}}
DONE: list[tuple[str, str, Any]] = [
    ("experiments.create", "/v1/experiments", NEW | {"experiment_id": "x"}),
    ("experiments.add_arm", "/v1/experiments/x/arms", {"id": "d", "price": "a secret price"}),
    ("experiments.retire_arm", "/v1/experiments/x/arms/d:retire", None),
    ("experiments.archive", "/v1/experiments/x:archive", None),
    ("experiments.restore", "/v1/experiments/x:restore", None),
    ("experiments.create", "/v1/experiments", STREAM),
    ("experiments.add_arm", "/v1/experiments/s/arms", {"id": "a"}),
    ("experiments.close", "/v1/experiments/s/arms:close", None),
    ("experiments.commit", "/v1/experiments/s:commit", None),
    ("experiments.create", "/v1/experiments", ADAPTIVE),
    ("experiments.say", "/v1/experiments/w/world", {"change": "known"}),
    ("experiments.compact", "/v1/experiments/w:compact", None),
    ("units.erase", "/v1/experiments/w:erase", {"unit_id": "whoever paid the secret price"}),
]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with Keyed(tmp_path_factory.mktemp("audit")) as keyed:
        yield keyed


def deeds(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/audit", params=query).json()["deeds"]
    return found


def test_every_call_of_an_admin_that_changes_something_is_there(keyed: Keyed) -> None:
    text = keyed.key("admin", tenant="lab")
    client, began = keyed.client_of(text), time.time()
    for action, path, body in DONE:
        if path.endswith(":commit"):
            assert client.post("/v1/experiments/s/decisions").status_code == 201
        answer = client.post(path, json=body) if body is not None else client.post(path)
        assert answer.status_code in (200, 201), (action, answer.text)
    exported = client.get("/v1/experiments/w/log").content
    imported = client.post("/v1/experiments:import", params={"experiment_id": "i"}, content=exported)
    assert imported.status_code == 201, imported.text
    assert client.delete("/v1/experiments/x", params={"confirm": "x"}).status_code == 200
    made = client.post("/v1/keys", json={"name": "a name", "roles": ["read"]}).json()
    new = client.post(f"/v1/keys/{made['id']}:rotate").json()
    assert client.post(f"/v1/keys/{new['id']}:revoke").status_code == 200
    seen = deeds(client)[::-1]
    assert seen.pop(0)["origin"] == "a test"  # the key itself
    assert {one["key"] for one in seen} == {text.split("_")[1]}
    assert {one["tenant"] for one in seen} == {"lab"}
    assert {one["origin"] for one in seen} == {"127.0.0.1"}
    assert all(one["time"].startswith(time.strftime("%Y-%m-", time.gmtime(began))) for one in seen)
    subjects = [path.removeprefix("/v1/experiments").split("/")[-1] for _, path, _ in DONE]
    assert len(subjects) == len(DONE)
    assert [(one["action"], one["subject"]) for one in seen] == [
        ("experiments.create", "x"),
        ("experiments.add_arm", "x"),
        ("experiments.retire_arm", "x d"),
        ("experiments.archive", "x"),
        ("experiments.restore", "x"),
        ("experiments.create", "s"),
        ("experiments.add_arm", "s"),
        ("experiments.close", "s"),
        ("experiments.commit", "s"),
        ("experiments.create", "w"),
        ("experiments.say", "w"),
        ("experiments.compact", "w"),
        ("units.erase", "w 0 decisions"),
        ("logs.import_log", "i"),
        ("experiments.delete", "x"),
        ("keys.create", made["id"]),
        ("keys.rotate", f"{made['id']} {new['id']}"),
        ("keys.revoke", new["id"]),
    ]
    assert {one["subject"] for one in deeds(keyed.operator)} >= {"~lab~x", "~lab~x d"}
    whole = repr(deeds(keyed.operator, limit=1000))
    for secret in (text, made["key"], new["key"]):
        assert secret.split("_", 2)[2] not in whole
    assert "secret price" not in whole
    changing = {
        f"{entry.handler.__module__.rsplit('.', 1)[1]}.{entry.handler.__name__}".replace("_key", "")
        for entry in TABLE
        if entry.role == "admin" and entry.method != "GET"
    }
    assert changing == {one["action"] for one in seen}


def test_what_is_refused_and_what_others_do_is_not_there(keyed: Keyed) -> None:
    client = keyed.asking("admin", tenant="quiet")
    before = deeds(client)
    assert client.post("/v1/experiments", json={"arms": 5}).status_code == 422
    assert client.post("/v1/experiments/nowhere:archive").status_code == 404
    assert keyed.operator.post("/v1/experiments/e/arms", json={"id": "z"}).status_code == 201
    assert deeds(client) == before and len(before) == 1
    newest = deeds(keyed.operator)[0]
    assert (newest["action"], newest["subject"], newest["tenant"]) == ("experiments.add_arm", "e", "default")


def test_the_log_is_read_in_pages(keyed: Keyed) -> None:
    whole = deeds(keyed.operator, limit=1000)
    first = keyed.operator.get("/v1/audit", params={"limit": 2}).json()
    assert first["deeds"] == whole[:2]
    assert deeds(keyed.operator, before=first["next"], limit=1000) == whole[2:]
    assert keyed.operator.get("/v1/audit", params={"limit": 1000}).json()["next"] is None
    for query in ({"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"before": "-1"}, {"before": "9" * 11}):
        assert keyed.operator.get("/v1/audit", params=query).status_code == 422
