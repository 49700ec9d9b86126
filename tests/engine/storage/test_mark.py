"""A copy of a database that lacks its newest commits is known by a mark in its head; nothing else bears it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support import with_numba

from onearm.engine.errors import InvalidInput
from onearm.engine.storage.access import Access
from onearm.engine.storage.backup import back_up, restore
from onearm.engine.storage.files import may_lack_commits
from onearm.engine.storage.records import Deed
from onearm.engine.storage.store import Store

KILLED = """
import os, sys
from onearm.engine.storage.store import Store
store = Store.open(sys.argv[1])
store.add_experiment("late", "{}", b"", "{}", 0)
os._exit(9)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


def names(file: Path) -> list[str]:
    store = Store.open(f"sqlite:///{file}", write=False)
    try:
        return [row.id for row in store.experiments()]
    finally:
        store.close()


def killed(file: Path) -> None:
    """Let a process write, and die in the middle."""
    done = with_numba.run(KILLED, f"sqlite:///{file}", **with_numba.AS_PYTHON)
    assert done.returncode == 9


def test_a_copy_made_while_it_is_in_use_is_known(file: Path) -> None:
    store = Store.open(f"sqlite:///{file}")
    store.add_experiment("late", "{}", b"", "{}", 0)
    copy = file.with_name("copy.db")
    shutil.copy(file, copy)
    both = file.with_name("both.db")
    for ending in ("", "-wal"):
        shutil.copy(f"{file}{ending}", f"{both}{ending}")
    store.close()
    assert (may_lack_commits(copy), may_lack_commits(both), may_lack_commits(file)) == (True, False, False)
    assert names(both) == ["late"]
    opened = Store.open(f"sqlite:///{copy}")
    assert opened.incomplete
    opened.close()
    assert not may_lack_commits(copy)  # it was said once
    with pytest.raises(InvalidInput, match="is of a database in use"):
        shutil.copy(both, copy)
        restore(copy, f"sqlite:///{file}")


def test_a_copy_made_after_a_stop_is_whole(file: Path) -> None:
    for _ in range(2):
        store = Store.open(f"sqlite:///{file}")
        assert not store.incomplete
        store.close()
        assert not may_lack_commits(file)


def test_what_a_killed_process_leaves_is_whole_with_its_wal(file: Path) -> None:
    killed(file)
    assert not may_lack_commits(file)
    store = Store.open(f"sqlite:///{file}")
    assert not store.incomplete
    store.close()
    assert names(file) == ["late"]


def test_what_another_program_brought_together_after_a_crash_can_be_restored_once_it_was_ended(file: Path) -> None:
    killed(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("SELECT count(*) FROM event")
    assert may_lack_commits(file) and not file.with_name(f"{file.name}-wal").exists()
    other = file.with_name("other.db")
    with pytest.raises(InvalidInput, match="let `onearm serve"):
        restore(file, f"sqlite:///{other}")
    Store.open(f"sqlite:///{file}").close()
    restore(file, f"sqlite:///{other}")
    assert names(other) == ["late"]


def test_who_makes_a_key_after_a_crash_brings_all_together(file: Path) -> None:
    killed(file)
    access = Access.open(f"sqlite:///{file}", write=True)
    access.note(Deed(None, 7, None, None, "a test", "", ""))
    access.close()
    assert not may_lack_commits(file)
    assert names(file) == ["late"]


def test_beside_a_service_a_key_leaves_the_mark_alone(file: Path) -> None:
    store = Store.open(f"sqlite:///{file}")
    access = Access.open(f"sqlite:///{file}", write=True)
    access.note(Deed(None, 7, None, None, "a test", "", ""))
    access.close()
    copy = file.with_name("copy.db")
    shutil.copy(file, copy)
    assert may_lack_commits(copy)
    store.close()


def test_a_backup_bears_no_mark(file: Path) -> None:
    store = Store.open(f"sqlite:///{file}")
    copy = file.with_name("copy.db")
    back_up(f"sqlite:///{file}", copy)
    store.close()
    assert not may_lack_commits(copy)
    restore(copy, f"sqlite:///{file}")
    assert not may_lack_commits(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(one.name for one in file.parent.iterdir() if ".part" in one.name) == []
