"""Files of the database that are deleted or replaced while it is in use: nothing is acknowledged from then on."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.listening import DECIDE, Listening

from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE as DECIDED


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path) as listening:
        assert listening.client.post(DECIDE, json={"decision_id": "before"}).status_code == 201
        yield listening


def deleted(folder: Path, ending: str) -> None:
    Path(f"{folder}/run.db{ending}").unlink()


def moved(folder: Path, ending: str) -> None:
    Path(f"{folder}/run.db{ending}").rename(folder / "elsewhere")


def replaced(folder: Path, ending: str) -> None:
    """Put a copy in its place, as somebody does who restores a backup."""
    shutil.copy(f"{folder}/run.db{ending}", folder / "copy")
    (folder / "copy").rename(f"{folder}/run.db{ending}")


LOSSES = [
    (deleted, "", "run.db was deleted or moved"),
    (moved, "", "run.db was deleted or moved"),
    (replaced, "", "run.db was replaced by another file"),
    (deleted, "-wal", "run.db-wal was deleted or moved"),
    (replaced, "-wal", "run.db-wal was replaced by another file"),
    (deleted, "-shm", "run.db-shm was deleted or moved"),
]


@pytest.mark.parametrize(("lose", "ending", "said"), LOSSES)
def test_what_would_be_lost_is_not_acknowledged(
    listening: Listening,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    lose: Callable[[Path, str], None],
    ending: str,
    said: str,
) -> None:
    caplog.set_level(logging.CRITICAL, "onearm")
    client = listening.client
    lose(tmp_path, ending)
    for method, path, body in (
        ("POST", DECIDE, {"decision_id": "after"}),
        ("POST", f"{DECIDE}/before/reward", {"value": 1.0}),
        ("POST", DECIDE, {"decision_id": "before"}),
        ("POST", "/v1/experiments", {"experiment_id": "new", "arms": [{"id": "a"}]}),
        ("POST", "/v1/experiments/hello/decisions", {}),
        ("GET", f"{DECIDE}/before", None),
    ):
        answer = client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_lost"), (path, answer.text)
        assert said in answer.json()["detail"] and answer.headers["retry-after"] == "1"
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "lost")
    assert said in ready.json()["reason"] and "put the database back" in ready.json()["reason"]
    assert client.get("/health/live").status_code == 200  # to start it anew would hide what happened
    (record,) = caplog.records
    assert said in record.getMessage() and "put the database back" in record.getMessage()


@pytest.mark.parametrize("lose", [deleted, moved, replaced])
def test_a_lock_whose_file_is_gone_is_none(
    listening: Listening, tmp_path: Path, lose: Callable[[Path, str], None]
) -> None:
    """Whoever takes the new file under its name has the database too: then there would be two writers."""
    lose(tmp_path, ".lock")
    Store.open(f"sqlite:///{tmp_path}/run.db").close()
    answer = listening.client.post(DECIDE, json={"decision_id": "after"})
    assert (answer.status_code, answer.json()["code"]) == (503, "database_lost")
    said = answer.json()["detail"]
    assert "run.db.lock was deleted, moved or replaced while it was held" in said and "onearm verify" in said


def test_readiness_notices_it_where_nobody_asks_for_anything(
    listening: Listening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "onearm")
    deleted(tmp_path, "")
    for _ in range(2):
        assert listening.client.get("/health/ready").json()["status"] == "lost"
    assert len(caplog.records) == 1
    assert listening.client.post(DECIDE, json={}).json()["code"] == "database_lost"


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/keys"])
def test_keys_and_deeds_are_not_read_from_another_file(listening: Listening, tmp_path: Path, path: str) -> None:
    assert listening.client.get(path).status_code == 200
    replaced(tmp_path, "")
    answer = listening.client.get(path)
    assert (answer.status_code, answer.json().get("code")) == (503, "database_lost")


def test_a_creation_is_not_acknowledged_either(listening: Listening, tmp_path: Path) -> None:
    deleted(tmp_path, "")
    body = {"experiment_id": "new", "arms": [{"id": "a"}]}
    answer = listening.client.post("/v1/experiments", json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_lost")


def test_what_was_acknowledged_can_be_had_back_from_the_process(listening: Listening, tmp_path: Path) -> None:
    """The refusal says where the files are; this does what it says."""
    deleted(tmp_path, "")
    deleted(tmp_path, "-wal")
    open_files = {}
    for descriptor in Path(f"/proc/{os.getpid()}/fd").iterdir():
        name = os.path.basename(os.readlink(descriptor)) if descriptor.is_symlink() else ""  # noqa: PTH115, PTH119
        open_files[name] = descriptor
    (tmp_path / "back").mkdir()
    for ending in ("", "-wal"):
        shutil.copy(open_files[f"run.db{ending} (deleted)"], tmp_path / "back" / f"run.db{ending}")
    store = Store.open(f"sqlite:///{tmp_path}/back/run.db")
    key = next(row.key for row in store.experiments() if row.id == "e")
    assert [event.decision_id for event in store.read_events(key, 0)] == ["before"]
    store.close()


def test_a_checkpoint_and_a_new_connection_are_no_loss(tmp_path: Path) -> None:
    """SQLite empties the -wal file, and makes it anew where all connections were closed."""
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    key = store.add_experiment("e", "{}", b"", "{}", 0).key
    for seq in range(1, 4):
        store.append([Event(key, seq, DECIDED, number=seq - 1, action=0, propensity=1.0, time=0)])
        assert store._writer is not None
        store._writer.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if seq == 2:
            store._drop_writer()
    store.check_files()
    assert store.last(key) == (3, 3)
    store._drop_writer()
    deleted(tmp_path, "")
    with pytest.raises(Unavailable, match=r"run\.db was deleted"):
        store.append([Event(key, 4, DECIDED, number=3, action=0, propensity=1.0, time=0)])
    assert not (tmp_path / "run.db").exists(), "no empty one takes its place"
    store.close()
