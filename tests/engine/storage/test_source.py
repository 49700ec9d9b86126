"""Bytes of a log: whole lines in their order, packed or not, and what a broken file still gives."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onearm.engine.storage import source
from onearm.engine.storage.formats.packed import open_packed
from onearm.engine.storage.source import Source

ENDINGS = ["", ".gz", ".zst"]
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@FIXTURES
@given(text=st.lists(st.sampled_from([b"\n", b"a", b"bc\n", b"\r\n", b"\x00"])).map(b"".join), block=st.integers(1, 9))
@pytest.mark.parametrize("ending", ENDINGS)
def test_blocks_are_whole_lines_and_all_of_them(tmp_path: Path, ending: str, text: bytes, block: int) -> None:
    path = tmp_path / f"log{ending}"
    with open_packed(path) as file:
        file.write(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK_BYTES", block)
        blocks = list(Source(path).blocks())
        assert b"".join(blocks) == text
        assert all(each.endswith(b"\n") for each in blocks[:-1])
        lines = list(Source(path).lines())
    assert b"".join(line for _, line in lines) == text
    assert [number for number, _ in lines] == list(range(1, len(lines) + 1))
    assert len(lines) == text.count(b"\n") + (text != b"" and not text.endswith(b"\n"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_progress_adds_up_to_the_file_as_it_lies_on_disk(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"log{ending}"
    with open_packed(path) as file:
        file.write(np.random.default_rng(0).bytes(100_000))
    told: list[int] = []
    read = Source(path, told.append)
    assert sum(map(len, read.blocks())) == 100_000
    assert sum(told) == path.stat().st_size == read.size
    assert read.broken is None


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_packed_file_that_was_cut_short_gives_what_it_holds_and_says_why(tmp_path: Path, ending: str) -> None:
    text = b"".join(b"%d\n" % number for number in np.random.default_rng(0).integers(0, 1 << 40, 200_000).tolist())
    path = tmp_path / f"log{ending}"
    with open_packed(path) as file:
        file.write(text)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    read = Source(path)
    found = b"".join(read.blocks())
    assert text.startswith(found)
    assert len(found) > len(text) // 4
    assert read.broken


def test_standard_input_has_no_size_and_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_bytes(b"a\nb\n")
    with (tmp_path / "log").open("rb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
        read = Source(Path("-"))
        assert read.size is None
        assert list(read.lines()) == [(1, b"a\n"), (2, b"b\n")]


@pytest.mark.parametrize(
    ("name", "ending", "packing"),
    [
        ("log.jsonl", ".jsonl", None),
        ("log.JSONL.GZ", ".jsonl", "gzip"),
        ("log.2024.csv.zst", ".csv", "zstd"),
        ("log", "", None),
        ("log.gz", "", "gzip"),
    ],
)
def test_an_ending_is_that_of_what_is_packed(name: str, ending: str, packing: str | None) -> None:
    assert (Source(Path(name)).ending, Source(Path(name)).packing) == (ending, packing)


def test_the_same_text_is_packed_to_the_same_bytes_under_any_name(tmp_path: Path) -> None:
    for name in ("one.gz", "other.gz"):
        with open_packed(tmp_path / name) as file:
            file.write(b"text\n")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "other.gz").read_bytes()
