"""The folder of compiled code: what is written is read again, and what is damaged, foreign or full is told."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from onearm.engine.compiled import store

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the test's own that compiled code is kept in."""
    store.cache_folder.cache_clear()
    store.warn_of_folder.cache_clear()
    monkeypatch.setenv("ONEARM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_what_is_written_is_read_again_under_its_name_and_key_only(folder: Path) -> None:
    store.write("decide", KEY, b"code\nof decide")
    assert store.read("decide", KEY) == b"code\nof decide"
    assert store.read("decide", OTHER) is None
    assert store.read("learn", KEY) is None
    assert [file.name for file in folder.iterdir()] == [f"decide-{KEY}.compiled"]


@pytest.mark.parametrize("spoilt", ["flipped", "truncated", "empty", "another", "foreign"])
def test_a_file_that_is_not_what_was_written_is_named_and_taken_for_absent(folder: Path, spoilt: str) -> None:
    store.write("decide", KEY, b"code of decide")
    store.write("decide", OTHER, b"other code")
    file = store.file_of("decide", KEY)
    whole = file.read_bytes()
    file.write_bytes(
        {
            "flipped": whole[:-1] + bytes([whole[-1] ^ 1]),
            "truncated": whole[:-1],
            "empty": b"",
            "another": store.file_of("decide", OTHER).read_bytes(),
            "foreign": b"\x7fELF",
        }[spoilt]
    )
    with pytest.warns(store.CacheWarning, match=f"{file}.*compiled and written anew"):
        assert store.read("decide", KEY) is None
    store.write("decide", KEY, b"code of decide")
    assert store.read("decide", KEY) == b"code of decide"


def test_a_folder_that_cannot_be_made_is_told_once(folder: Path) -> None:
    folder.write_text("a file stands where the folder should")
    with pytest.warns(store.CacheWarning, match=f"{folder} .*ONEARM_CACHE_DIR") as told:
        store.write("decide", KEY, b"code")
        assert store.read("decide", KEY) is None
        store.write("learn", KEY, b"code")
    assert len(told) == 1


def test_a_full_disk_is_told_once_and_leaves_no_part_of_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, mode: str) -> Any:
        os.close(handle)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.os, "fdopen", full)
    with pytest.warns(store.CacheWarning, match=f"{folder} .No space left on device") as told:
        store.write("decide", KEY, b"code")
        store.write("learn", KEY, b"code")
    assert len(told) == 1
    assert list(folder.iterdir()) == []


def test_two_that_write_the_same_leave_one_whole_file(folder: Path) -> None:
    body = b"code" * 100_000
    writers = [threading.Thread(target=store.write, args=("decide", KEY, body)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert store.read("decide", KEY) == body
    assert len(list(folder.iterdir())) == 1


def test_what_was_read_the_longest_ago_leaves_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for days, name in enumerate(("new", "older", "oldest")):
        store.write(name, KEY, b"x" * 1000)
        aged(store.file_of(name, KEY), days)
    assert store.read("oldest", KEY) is not None  # which marks it as read now
    monkeypatch.setattr(store, "SIZE_MAX", 3500)
    store.write("newest", KEY, b"x" * 1000)
    assert {name for name in ("new", "older", "oldest", "newest") if store.read(name, KEY)} == {
        "new",
        "oldest",
        "newest",
    }


def test_what_was_not_read_for_long_leaves_and_what_is_not_ours_stays(folder: Path) -> None:
    for name in (f"decide-{KEY}.compiled", f"{store.PART}1", "notes.txt", "0123456789abcdef/loop.decide.nbi"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
        aged(folder / name, 100)
        aged((folder / name).parent, 100)
    store.write("learn", KEY, b"code")
    assert {file.name for file in folder.iterdir()} == {"notes.txt", f"learn-{KEY}.compiled"}


def aged(file: Path, days: int) -> None:
    """Let a file look as if it was last read so many days ago."""
    then = time.time() - days * 86_400
    os.utime(file, (then, then))


def test_the_folder_is_the_one_that_is_named_or_else_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    where = store.cache_folder.__wrapped__
    monkeypatch.setenv("ONEARM_CACHE_DIR", "/named")
    assert where() == Path("/named")
    monkeypatch.delenv("ONEARM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert where() == Path("/caches/onearm")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert where() == Path("/home/somebody/.cache/onearm")


def test_a_user_without_a_home_can_keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ONEARM_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(store, "cache_folder", store.cache_folder.__wrapped__)
    store.warn_of_folder.cache_clear()
    with pytest.warns(store.CacheWarning, match="cannot be kept in /dev/null/onearm"):
        store.write("decide", KEY, b"code")
