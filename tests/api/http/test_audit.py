"""The audit log: what admins did is there with who, when and from where, and no secret is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.keyed import NEW, Keyed
from support.listening import DECIDE, Listening
from support.stored import run_sql

from onearm.api.access import deeds as audit_deeds
from onearm.api.http.routes import TABLE
from onearm.engine.storage.access import Access

ERASE = "/v1/experiments/e:erase"
STREAM = {"experiment_id": "s", "problem": {"kind": "arm_stream"}}
ADAPTIVE = NEW | {"experiment_id": "w", "policy": {"name": "adaptive", "params": {"policy": {"name": "ucb1"}}}}
DONE: list[tuple[str, str, Any]] = [
    ("experiments.create", "/v1/experiments", NEW | {"experiment_id": "x"}),
    ("experiments.add_arm", "/v1/experiments/x/arms", {"id": "d", "price": "a secret price"}),
    ("experiments.retire_arm", "/v1/experiments/x/arms/d:retire", None),
    ("lineup.add_policy", "/v1/experiments/x/policies", {"policy": "uniform"}),
    ("lineup.assign_policy", "/v1/experiments/x/policies/1:assign", {"role": "shadow"}),
    ("lineup.promote_policy", "/v1/experiments/x/policies/1:promote", None),
    ("lineup.retire_policy", "/v1/experiments/x/policies/0:retire", None),
    ("corrections.rollback", "/v1/experiments/x/policies:rollback", {"to": 3}),
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
        if path.endswith(":compact"):
            exported = client.get("/v1/experiments/w/log").content
        answer = client.post(path, json=body) if body is not None else client.post(path)
        assert answer.status_code in (200, 201), (action, answer.text)
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
        ("lineup.add_policy", "x"),
        ("lineup.assign_policy", "x 1"),
        ("lineup.promote_policy", "x 1"),
        ("lineup.retire_policy", "x 0"),
        ("corrections.rollback", "x"),
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
        if entry.role == "admin" and entry.method != "GET" and not entry.page  # pages have the handlers of calls do it
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


FULL = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"


@pytest.mark.usefixtures("empty_database")
@pytest.mark.parametrize(
    ("action", "path", "body"),
    [("experiments.archive", "/v1/experiments/e:archive", None), ("units.erase", ERASE, {"unit_id": "ann"})],
)
def test_what_was_done_is_answered_and_noted_later_where_the_audit_log_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, action: str, path: str, body: Any
) -> None:
    with Listening(tmp_path) as listening:
        client, database = listening.client, f"sqlite:///{tmp_path}/run.db"
        assert client.post(DECIDE, json={"unit_id": "ann"}).status_code == 201
        run_sql(database, FULL)
        done = client.post(path, json=body)
        assert done.status_code == 200, done.text
        assert done.json().get("archived", True) and done.json().get("decisions") == 1
        assert [action in one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [True]
        for other in ("/v1/experiments/hello:archive", "/v1/experiments/hello:erase"):
            refused = client.post(other, json={"unit_id": "bob"})
            assert (refused.status_code, refused.json()["code"]) == (503, "audit_unwritten")
            assert "nothing was done" in refused.json()["detail"]
        assert not client.get("/v1/experiments/hello").json()["archived"]
        assert deeds(client)[0]["action"] == "experiments.create"
        run_sql(database, "DROP TRIGGER full")
        listening.wait_until(lambda: deeds(client)[0]["action"] == action)  # nobody asks for it
        assert client.post("/v1/experiments/hello:archive").status_code == 200
        noted = [(one["action"], one["subject"].split()[0]) for one in deeds(client)]
        assert noted == [("experiments.archive", "hello"), (action, "e"), ("experiments.create", "e")]


@pytest.mark.usefixtures("empty_database")
def test_the_next_deed_or_the_end_of_the_service_finds_the_audit_log_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_deeds, "AGAIN_SECONDS", 1000.0)
    database = f"sqlite:///{tmp_path}/run.db"
    with Listening(tmp_path) as listening:
        for name, other in (("e", "restore"), ("hello", "archive")):
            run_sql(database, FULL)
            assert listening.client.post(f"/v1/experiments/{name}:archive").status_code == 200
            run_sql(database, "DROP TRIGGER full")
            if name == "e":
                assert listening.client.post(f"/v1/experiments/{name}:{other}").status_code == 200
    with closing(Access.open(database, write=False)) as access:
        noted = [(one.action.partition(".")[2], one.subject) for one in access.deeds(10)][::-1]
    assert noted == [("create", "e"), ("archive", "e"), ("restore", "e"), ("archive", "hello")]


def test_a_deed_that_could_never_be_written_is_in_the_log_of_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Listening(tmp_path) as listening:
        run_sql(f"sqlite:///{tmp_path}/run.db", FULL)
        assert listening.client.post("/v1/experiments/e:archive").status_code == 200
    said = caplog.records[-1].getMessage()
    assert "is not in the audit log" in said and "experiments.archive" in said and "127.0.0.1" in said


def test_the_log_is_read_in_pages(keyed: Keyed) -> None:
    whole = deeds(keyed.operator, limit=1000)
    first = keyed.operator.get("/v1/audit", params={"limit": 2}).json()
    assert first["deeds"] == whole[:2]
    assert deeds(keyed.operator, before=first["next"], limit=1000) == whole[2:]
    assert keyed.operator.get("/v1/audit", params={"limit": 1000}).json()["next"] is None
    for query in ({"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"before": "-1"}, {"before": "9" * 11}):
        assert keyed.operator.get("/v1/audit", params=query).status_code == 422
