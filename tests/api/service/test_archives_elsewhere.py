"""Archives in a storage that fsspec reaches: as in a folder they verify, are blanked, and go with their experiment."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from support.compacted import Run
from support.served import Served

from onearm.api.cli import main
from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.archives import Archives
from onearm.api.service.storages import RemoteFolder
from onearm.engine.errors import Unavailable

PLACE = "memory://bucket/archives"


@pytest.fixture
def files() -> Iterator[Any]:
    """Yield a storage in memory, with nothing in it."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    yield storage
    storage.store.clear()


@pytest.fixture
def served(tmp_path: Path, files: Any) -> Iterator[Served]:
    with Served(tmp_path, archives=Archives.at(PLACE)) as served:
        yield served


def names(files: Any) -> list[str]:
    return sorted(file.rpartition("/")[2] for file in files.find("/bucket/archives"))


def found_of(served: Served, name: str = "e") -> dict[str, Any]:
    return next(one for one in verified(served.url, Archives.at(PLACE)) if one["id"] == name)


def test_what_was_compacted_lies_there_and_verifies(served: Served, files: Any) -> None:
    run = Run(served, "dense", "e")
    bases = []
    for _ in range(2):
        run.play(20)
        bases.append(run.compact(archive=True))
    assert names(files) == sorted(str(base.archive) for base in bases)
    assert [files.size(f"/bucket/archives/{base.archive}") for base in bases] == [base.archive_bytes for base in bases]
    found = found_of(served)
    assert not has_fault(found)
    assert [link["state"] for link in found["archives"]] == ["verified", "verified"]
    files.rm_file(f"/bucket/archives/{bases[0].archive}")
    missing = found_of(served)["archives"][0]
    assert missing["state"] == "missing" and f"is not in {PLACE}" in missing["note"]


def test_an_erasure_blanks_what_lies_there_and_a_deletion_takes_it_away(served: Served, files: Any) -> None:
    run = Run(served, "dense", "e")
    run.play(20)
    (before,) = [run.compact(archive=True)]
    whole = files.cat_file(f"/bucket/archives/{before.archive}")
    erased = served.client.post("/v1/experiments/e:erase", json={"decision_ids": ["d3"]})
    assert erased.status_code == 200 and "archives_left" not in erased.json(), erased.text
    assert files.cat_file(f"/bucket/archives/{before.archive}") != whole and names(files) == [before.archive]
    assert {link["state"] for link in found_of(served)["archives"]} == {"blank"}
    assert served.client.delete("/v1/experiments/e", params={"confirm": "e"}).status_code == 200
    deadline = time.monotonic() + 60
    while names(files):
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Away:
    """A storage whose every answer is an error of its own, as where nobody may enter, or nobody is."""

    def __getattr__(self, name: str) -> Any:
        def failed(*given: Any, **named: Any) -> None:
            raise RuntimeError("Unable to locate credentials")

        return failed


def test_a_storage_that_does_not_let_us_in_is_named_and_nothing_is_compacted(served: Served, files: Any) -> None:
    run = Run(served, "dense", "e")
    run.play(20)
    away = RemoteFolder(PLACE)
    away._system = Away()
    served.service.compactions._archives = Archives(away)
    answer = served.client.post("/v1/experiments/e:compact", json={})
    assert answer.status_code == 503 and answer.json()["code"] == "archive_failed"
    assert f"as {PLACE} cannot be used (Unable to locate credentials)" in answer.json()["detail"]
    assert served.store.bases(served.service.live("e").row.key) == []
    with pytest.raises(Unavailable, match="cannot be read"):
        Archives(away).has("x")


def test_a_storage_without_the_folder_is_named_before_anything_is_written(tmp_path: Path) -> None:
    archives = Archives.at(f"file://{tmp_path}/kept")
    with pytest.raises(Unavailable, match=rf"as file://{tmp_path}/kept cannot be used \(.*No such file"):
        archives.check()
    (tmp_path / "kept").mkdir()
    archives.check()
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_bucket_needs_no_folder_and_a_check_leaves_nothing_in_it(files: Any) -> None:
    Archives.at(PLACE).check()
    assert names(files) == []


def test_the_commands_take_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").mkdir()
    place = f"file://{tmp_path}/kept"
    with Served(tmp_path, archives=Archives.at(place)) as served:
        run = Run(served, "dense", "e")
        run.play(20)
        run.compact(archive=True)
    assert main.run(["verify", "--database", served.url, "--archives", place, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["experiments"]
    assert [link["state"] for link in found["archives"]] == ["verified"]
    assert main.run(["serve", "--archives", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main.run(["serve", "--archives", "gs://bucket/archives"]) == 2
    assert "a package is missing" in capsys.readouterr().err
