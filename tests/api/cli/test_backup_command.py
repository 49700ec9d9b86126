"""`onearm backup` and `onearm restore`: what was acknowledged is in the copy, and nothing is lost on the way back."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.direct import Direct

from onearm.api.http.app import create_app
from onearm.engine.storage.store import Store

URL = "sqlite:///run.db"
COPY = "sqlite:///copies/monday.db"
BODY = {"experiment_id": "shop", "arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "exp3_ix"}, "seed": 3}


@pytest.fixture
def client(onearm: Any) -> Iterator[Direct]:
    """Yield the service at work on run.db, which decided and learned."""
    with Direct(create_app(Store.open(URL))) as client:
        assert client.post("/v1/experiments", json=BODY).status_code == 201
        play(client, 20)
        yield client


def play(client: Direct, decisions: int) -> None:
    path = "/v1/experiments/shop/decisions"
    for _ in range(decisions):
        decision = client.post(path, json={}).json()["decision_id"]
        assert client.post(f"{path}/{decision}/reward", json={"value": 0.5}).status_code == 200


def digest(client: Direct) -> str:
    while (answer := client.get("/v1/experiments/shop")).status_code == 503:  # it reads its log
        time.sleep(0.01)
    found: str = answer.json()["digest"]
    return found


def test_a_backup_has_all_that_was_acknowledged_and_a_copied_file_has_not(onearm: Any, client: Direct) -> None:
    shutil.copy("run.db", "copied.db")
    with sqlite3.connect("copied.db") as copied:
        assert copied.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0 or (
            copied.execute("SELECT count(*) FROM event").fetchone()[0] < 40
        )
    done = onearm("backup", "copies/monday.db", "--database", URL, "--json")
    assert done.code == 0, done.err
    assert done.json == {
        "file": "copies/monday.db",
        "bytes": Path("copies/monday.db").stat().st_size,
        "experiments": 2,
        "events": 40,
    }
    assert [file.name for file in Path("copies").iterdir()] == ["monday.db"], "one file, with nothing beside it"
    before = digest(client)
    play(client, 5)
    reports = {one["id"]: one for one in onearm("verify", "--database", COPY, "--json").json["experiments"]}
    assert (reports["shop"]["digest"], reports["shop"]["first_difference"]) == (before, None)
    assert digest(client) != before


def test_a_backup_replaces_nothing(onearm: Any, client: Direct) -> None:
    Path("there.db").write_text("what somebody needs")
    done = onearm("backup", "there.db", "--database", URL)
    assert (done.code, "there.db exists already" in done.err) == (2, True)
    assert Path("there.db").read_text() == "what somebody needs"
    assert not Path("there.db.part").exists()


def test_what_is_no_database_is_not_backed_up(onearm: Any, tmp_path: Path) -> None:
    assert "there is no file nobody.db" in onearm("backup", "a.db", "--database", "sqlite:///nobody.db").err
    Path("text.db").write_text("no database at all, but a text that is long enough to look at\n" * 20)
    done = onearm("backup", "a.db", "--database", "sqlite:///text.db")
    assert (done.code, "text.db cannot be read" in done.err) == (2, True)
    assert "pg_dump" in onearm("backup", "a.db", "--database", "postgresql://me@localhost/log").err
    assert not list(tmp_path.glob("a.db*"))


def test_a_database_in_use_is_not_replaced(onearm: Any, client: Direct) -> None:
    assert onearm("backup", "copies/monday.db", "--database", URL).code == 0
    done = onearm("restore", "copies/monday.db", "--database", URL)
    assert (done.code, "is in use by this process itself" in done.err) == (2, True), done
    play(client, 1)


def test_a_backup_comes_back_and_what_was_there_is_kept(onearm: Any) -> None:
    with Direct(create_app(Store.open(URL))) as client:
        assert client.post("/v1/experiments", json=BODY).status_code == 201
        play(client, 10)
        then = digest(client)
        assert onearm("backup", "copies/monday.db", "--database", URL).code == 0
        play(client, 10)
        later = digest(client)
    done = onearm("restore", "copies/monday.db", "--database", URL, "--json")
    assert done.code == 0, done.err
    kept = done.json["kept"]
    assert done.json["experiments"] == 2 and Path(kept).is_file()
    with Direct(create_app(Store.open(URL))) as client:
        assert digest(client) == then
        play(client, 10)
        assert digest(client) == later, "it goes on as it did"
    with Direct(create_app(Store.open(f"sqlite:///{kept}"))) as client:
        assert digest(client) == later


def test_a_database_that_is_spoilt_or_gone_is_replaced(onearm: Any) -> None:
    with Direct(create_app(Store.open(URL))) as client:
        assert client.post("/v1/experiments", json=BODY).status_code == 201
    assert onearm("backup", "copies/monday.db", "--database", URL).code == 0
    Path("run.db").write_bytes(b"spoilt" * 1000)
    Path("run.db-wal").write_bytes(b"what nobody can read")
    done = onearm("restore", "copies/monday.db", "--database", URL)
    assert done.code == 0, done.err
    (kept,) = [file for file in Path().glob("run.db.before-*") if not file.name.endswith(("-wal", "-shm"))]
    assert kept.read_bytes() == b"spoilt" * 1000
    assert onearm("verify", "--database", URL).code == 0
    Path("run.db").unlink()
    done = onearm("restore", "copies/monday.db", "--database", URL, "--json")
    assert (done.code, done.json["kept"]) == (0, None)
    assert onearm("verify", "--database", URL).code == 0


def test_a_log_beside_a_database_that_is_gone_is_not_read_into_the_backup(onearm: Any) -> None:
    """The service was killed after its file was deleted; SQLite wrote what was left of it into the backup."""
    client = Direct(create_app(Store.open(URL))).__enter__()
    try:
        assert client.post("/v1/experiments", json=BODY).status_code == 201
        play(client, 3)
        assert onearm("backup", "copies/monday.db", "--database", URL).code == 0
        play(client, 200)
        left = {ending: Path(f"run.db{ending}").read_bytes() for ending in ("-wal", "-shm")}
    finally:
        client.__exit__(None, None, None)
    Path("run.db").unlink()
    for ending, content in left.items():
        Path(f"run.db{ending}").write_bytes(content)
    done = onearm("restore", "copies/monday.db", "--database", URL)
    assert done.code == 0, done.err
    with sqlite3.connect("run.db") as restored:
        assert restored.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert restored.execute("SELECT count(*) FROM event").fetchone() == (6,)
    assert onearm("verify", "--database", URL).code == 0
    (kept,) = Path().glob("run.db.before-*-wal")
    assert kept.read_bytes() == left["-wal"]


def test_what_a_restore_takes_back_is_said(onearm: Any) -> None:
    """A revoked key was good again, and nobody said so."""
    key = onearm("keys", "create", "--role", "write", "--name", "web", "--database", URL, "--json").json["id"]
    assert onearm("backup", "copies/monday.db", "--database", URL).code == 0
    assert onearm("keys", "revoke", key, "--database", URL).code == 0
    done = onearm("restore", "copies/monday.db", "--database", URL)
    assert (done.code, "to be done again: 1 keys.revoke; onearm audit --database" in done.out) == (0, True), done
    assert onearm("keys", "list", "--database", URL, "--json").json["keys"][0]["state"] == "valid"
    assert onearm("restore", "copies/monday.db", "--database", URL, "--json").json["undone"] == {}


def test_a_backup_that_does_not_verify_replaces_nothing(onearm: Any) -> None:
    with Direct(create_app(Store.open(URL))) as client:
        assert client.post("/v1/experiments", json=BODY).status_code == 201
        play(client, 10)
    assert onearm("backup", "copies/monday.db", "--database", URL).code == 0
    with sqlite3.connect("copies/monday.db") as spoilt:
        spoilt.execute("UPDATE event SET action = 1 - action WHERE seq = 5")
    before = Path("run.db").read_bytes()
    done = onearm("restore", "copies/monday.db", "--database", URL)
    assert (done.code, "copies/monday.db does not verify (shop)" in done.err) == (1, True), done
    assert Path("run.db").read_bytes() == before
    Path("cut.db").write_bytes(Path("copies/monday.db").read_bytes()[:5000])
    assert onearm("restore", "cut.db", "--database", URL).code != 0
    assert Path("run.db").read_bytes() == before
    assert "is the database itself" in onearm("restore", "run.db", "--database", URL).err
    assert "there is no file nobody.db" in onearm("restore", "nobody.db", "--database", URL).err
