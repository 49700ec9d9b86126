"""Archives hold what was compacted: each folds from one base to the next, and none is lost or left over."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.compacted import EVERY_SHAPE, SPECS, Run
from support.every_run import every_run
from support.served import Served

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.archives import Archives, sha256_of
from onearm.engine.errors import Conflict, OnearmError, Unavailable
from onearm.engine.storage.records import NOTE, SnapshotPart


def folder_of(served: Served) -> Path:
    return Path(served.url.removeprefix("sqlite:///") + ".archives")


def archives_of(served: Served) -> list[str]:
    return sorted(path.name for path in folder_of(served).iterdir())


def found_of(served: Served, folder: Path | None = None, name: str = "e") -> dict[str, Any]:
    """Return what `verify` finds of an experiment and its archives."""
    archives = Archives.at(folder_of(served) if folder is None else folder)
    return next(one for one in verified(served.url, archives) if one["id"] == name)


@pytest.fixture
def compacted(tmp_path: Path) -> Iterator[tuple[Served, Run]]:
    """Yield a service whose experiment `e` has two bases, each with its archive, and some events behind."""
    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        for _ in range(2):
            run.play(20)
            run.compact(archive=True)
        run.play(10)
        yield served, run


def test_who_names_no_folder_of_archives_is_told_how(compacted: tuple[Served, Run]) -> None:
    """A database of PostgreSQL has none beside it."""
    served, _ = compacted
    (found,) = verified(served.url, Archives(None))
    assert {link["state"] for link in found["archives"]} == {"missing"} and has_fault(found)
    assert all("say --archives FOLDER" in link["note"] for link in found["archives"])


@pytest.mark.parametrize("kind", every_run(SPECS, EVERY_SHAPE[1::2]))  # test_bases.py tries the others
def test_each_archive_folds_from_one_base_to_the_next(tmp_path: Path, kind: str) -> None:
    with Served(tmp_path) as served:
        run = Run(served, kind, "e")
        run.play(16)
        bases = [run.compact(archive=True)]
        run.play(18)
        bases.append(run.compact(bases[0].seq + 12, archive=True))
        run.play(6)
        bases.append(run.compact())
        run.play(4)
        bases.append(run.compact(archive=True))
        run.play(6)
        found = found_of(served)
        assert not has_fault(found), found
        states = [(link["seq"], link["state"]) for link in found["archives"]]
        kept = ["verified", "verified", "dropped", "verified"]
        assert states == list(zip([base.seq for base in bases], kept, strict=True))
        assert archives_of(served) == sorted(base.archive for base in bases if base.archive)
        for base in bases:
            if base.archive is not None:
                file = folder_of(served) / base.archive
                assert (sha256_of(file), file.stat().st_size) == (base.archive_sha256, base.archive_bytes)


def test_an_archive_has_its_events_as_they_were_and_before_them_what_they_learned(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        run.play(20)
        first = run.compact()
        run.play(20)
        key = first.experiment
        whole = served.store.read_events(key, 0, 1000)
        second = run.compact(archive=True)
        rows = pq.read_table(folder_of(served) / str(second.archive)).to_pylist()
        learned = {event.number for event in whole[first.seq :] if event.kind == 1}
        carried = [event.seq for event in whole[: first.seq] if event.number in learned]
        assert len(carried) == 3
        assert [row["seq"] for row in rows] == [*carried, *range(first.seq + 1, second.seq + 1)]
        assert all(len(row["context"]) == 4 for row in rows if row["kind"] == 0)


def test_one_that_is_missing_or_wrong_is_named_and_the_rest_verifies(compacted: tuple[Served, Run]) -> None:
    served, _ = compacted
    assert not has_fault(found_of(served))
    first, second = (link["archive"] for link in found_of(served)["archives"])
    file = folder_of(served) / second
    whole = file.read_bytes()
    file.unlink()
    found = found_of(served)
    assert [link["state"] for link in found["archives"]] == ["verified", "missing"]
    assert has_fault(found) and second in found["bad_archive"] and found["first_difference"] is None
    file.write_bytes(whole[:-9] + b"x" + whole[-8:])
    found = found_of(served)
    assert [link["state"] for link in found["archives"]] == ["verified", "wrong"] and "sha256" in found["note"]
    shutil.copy(folder_of(served) / first, file)
    base = served.store.bases(served.service.live("e").row.key)[1]
    run_sql(served, f"UPDATE base SET archive_sha256 = '{sha256_of(file)}' WHERE seq = {base.seq}")
    found = found_of(served)
    assert [link["state"] for link in found["archives"]] == ["verified", "wrong"], "those are other events"
    assert "archives" not in next(one for one in verified(served.url) if one["id"] == "e"), "nobody looked"


def test_a_base_that_an_archive_does_not_fold_to_is_named(compacted: tuple[Served, Run]) -> None:
    """The sums of the second base are made those of the first, with a digest that is right."""
    served, _ = compacted
    key = served.service.live("e").row.key
    first, second = served.store.bases(key)
    sums = served.store.base_sums(key, first.seq)
    with served.store._transaction() as connection:
        sql = "UPDATE base_part SET state = ? WHERE experiment = ? AND seq = ? AND part = -1"
        connection.exec_driver_sql(sql, (sums, key, second.seq))
    found = found_of(served)
    assert [link["state"] for link in found["archives"]] == ["verified", "wrong"]
    assert f"does not fold to the base at seq {second.seq}" in found["bad_archive"]


def run_sql(served: Served, statement: str) -> None:
    with served.store._transaction() as connection:
        connection.exec_driver_sql(statement)


def assert_unchanged(served: Served, run: Run, before: Any) -> None:
    """Check that an attempt that failed left nothing, and that the next one succeeds."""
    assert served.everything() == before
    assert served.store.bases(served.service.live("e").row.key) == []
    assert served.store._read("SELECT count(*) FROM base_part", ()) == [(0,)]
    run.play(3)
    assert run.compact(archive=True).archive in archives_of(served)
    assert len(archives_of(served)) == 1


@pytest.mark.parametrize("stage", ["write", "rename", "parts", "row"])
def test_an_attempt_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def failing(*given: Any, **named: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refusing(*given: Any) -> Any:
        raise Unavailable("commit_failed", "the disk is full: make room")

    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        run.play(20)
        before = served.everything()
        with monkeypatch.context() as patch:
            if stage in ("write", "rename"):
                patch.setattr(os, "fsync", failing) if stage == "write" else patch.setattr(Path, "rename", failing)
            else:
                patch.setattr(served.store, "put_base_parts" if stage == "parts" else "put_base", refusing)
            with pytest.raises(OnearmError) as refused:
                run.compact(archive=True)
        assert refused.value.code == ("archive_failed" if stage in ("write", "rename") else "commit_failed")
        assert archives_of(served) == []
        assert_unchanged(served, run, before)


def test_a_folder_that_is_missing_or_none_is_refused(tmp_path: Path) -> None:
    for name, archives, error, code in (
        ("a", Archives(None), Conflict, "no_archives"),
        ("b", Archives.at(tmp_path / "missing"), Unavailable, "archive_failed"),
        ("c", Archives.at(tmp_path / "run.db"), Unavailable, "archive_failed"),
    ):
        with Served(tmp_path, archives=archives) as served:
            run = Run(served, "arms", name)
            run.play(5)
            before = served.everything()
            with pytest.raises(error) as refused:
                run.compact(archive=True)
            assert refused.value.code == code
            assert served.everything() == before
            run.compact()


def test_what_an_attempt_left_that_was_killed_goes_at_the_next_start(compacted: tuple[Served, Run]) -> None:
    served, run = compacted
    key, kept = served.service.live("e").row.key, archives_of(served)
    for seq, name in ((85, "begun.part"), (86, "renamed")):
        served.store.note_archive(key, seq, name.removesuffix(".part"))
        served.store.put_base_parts([SnapshotPart(key, seq, 0, b"left")])
        (folder_of(served) / name).write_bytes(b"left")
    (folder_of(served) / "of somebody else").write_bytes(b"stays")
    served.restart()
    assert archives_of(served) == sorted([*kept, "of somebody else"])
    assert served.store._read("SELECT count(*) FROM base_part WHERE seq > 84", ()) == [(0,)]
    assert served.store._read("SELECT count(*) FROM base_part WHERE part = ?", (NOTE,)) == [(0,)]
    run.assert_retries()


def test_a_deletion_takes_archives_with_it_and_those_of_others_stay(compacted: tuple[Served, Run]) -> None:
    served, _ = compacted
    other = Run(served, "arms", "other")
    other.play(5)
    base = other.compact(archive=True)
    assert len(archives_of(served)) == 3
    assert served.client.delete("/v1/experiments/e", params={"confirm": "e"}).status_code == 200
    served.client.portal.call(served.service.chores.done)
    assert archives_of(served) == [base.archive]
    assert not has_fault(found_of(served, name="other"))
