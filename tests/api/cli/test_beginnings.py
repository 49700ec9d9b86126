"""Files that begin with a byte order mark, that are packed otherwise than their names say, or that are no text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MARK = b"\xef\xbb\xbf"
DSJSON = (
    b'{"_label_cost":-1.0,"_label_probability":0.5,"_label_Action":1,"_labelIndex":0,'
    b'"a":[1,2],"p":[0.5,0.5],"c":{"U":{"x":1},"_multi":[{"A":{"n":"a"}},{"A":{"n":"b"}}]},"o":[{"v":1.0}]}\n'
)
TEXT = b"shared | x:1\n0:-1:0.5 | a\n| b\n\n"
NUMBERED = b"1:-1:0.5 | x:1\n2:0:0.5 | x:1\n"
TABLE = b"action,reward,propensity\na,1,0.5\nb,0,0.5\na,1,0.5\n"


def rows_of(onearm: Any, file: Path, *more: str) -> Any:
    return onearm("evaluate", str(file), "--target", "uniform", "--method", "snips", "--json", *more)


@pytest.mark.parametrize(
    ("name", "content", "events"),
    [
        ("log.dsjson", DSJSON * 3, 3),
        ("log.vw", TEXT * 3, 3),
        ("log.dat", NUMBERED, 2),
        ("log.li", b"0 1 2.5\n1 0 2.5\n", 2),
        ("log.csv", TABLE, 3),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_mark_before_a_log_loses_nothing(
    onearm: Any, tmp_path: Path, name: str, content: bytes, events: int, packed: bool
) -> None:
    pack, ending = (gzip.compress, ".gz") if packed else (bytes, "")
    (tmp_path / f"plain-{name}{ending}").write_bytes(pack(content))
    (tmp_path / f"marked-{name}{ending}").write_bytes(pack(MARK + content))
    method = ("--method", "match") if name.endswith(".li") else ("--method", "snips")
    found = [
        onearm("evaluate", str(tmp_path / f"{which}-{name}{ending}"), "--target", "uniform", *method, "--json").json
        for which in ("plain", "marked")
    ]
    assert (found[1]["events"], found[1]["bad_lines"]) == (events, {})
    assert found[0]["estimates"] == found[1]["estimates"]
    back = tmp_path / name.replace("log", "back")
    assert onearm("convert", str(tmp_path / f"marked-{name}{ending}"), str(back)).code == 0
    assert back.read_bytes().removeprefix(MARK) == content


def test_an_export_of_named_features_is_known_behind_a_mark(onearm: Any, tmp_path: Path) -> None:
    (tmp_path / "log.dsjson").write_bytes(DSJSON * 3)
    export, marked = tmp_path / "export.jsonl", tmp_path / "marked.jsonl"
    assert onearm("convert", str(tmp_path / "log.dsjson"), str(export)).code == 0
    marked.write_bytes(MARK + export.read_bytes())
    assert (
        rows_of(onearm, marked, "--dimension", "8").json["estimates"]
        == (rows_of(onearm, export, "--dimension", "8").json["estimates"])
    )


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("log.csv", content)
    return file.getvalue()


def in_parquet(content: bytes) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"action": [0, 1], "reward": [1.0, 0.0]}), file)
    return file.getvalue()


def by_zstandard(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".dsjson", ".vw", ".li"])
@pytest.mark.parametrize(
    ("pack", "said"),
    [
        (gzip.compress, "begins as a file does that gzip packed: let its name end in .gz"),
        (by_zstandard, "begins as a file does that Zstandard packed: let its name end in .zst"),
        (bz2.compress, "begins as a file does that bzip2 packed, which is not read: unpack it"),
        (lzma.compress, "begins as a file does that xz packed, which is not read: unpack it"),
        (zipped, "begins as a ZIP archive or a workbook does, which is not read: unpack it, or save the sheet as CSV"),
        (in_parquet, "begins as Parquet does: let its name end in .parquet"),
        (lambda content: content.decode().encode("utf-16"), "begins as text in UTF-16 does: save it in UTF-8"),
    ],
)
def test_what_is_no_text_is_named(
    onearm: Any, tmp_path: Path, ending: str, pack: Callable[[bytes], bytes], said: str
) -> None:
    file = tmp_path / f"log{ending}"
    file.write_bytes(pack(TABLE * 50))
    done = rows_of(onearm, file)
    assert (done.code, said in " ".join(done.err.split())) == (2, True), done.err


@pytest.mark.parametrize(
    ("ending", "said"),
    [(".gz", "log.csv.gz is not packed by gzip"), (".zst", "log.csv.zst is not packed by Zstandard")],
)
def test_a_plain_file_whose_name_says_that_it_is_packed_is_told_so(
    onearm: Any, tmp_path: Path, ending: str, said: str
) -> None:
    file = tmp_path / f"log.csv{ending}"
    for content in (TABLE, TABLE[:1], by_zstandard(TABLE) if ending == ".gz" else gzip.compress(TABLE)):
        file.write_bytes(content)
        done = rows_of(onearm, file)
        assert (done.code, said in done.err) == (2, True), done.err


@contextmanager
def piped(file: Path, content: bytes) -> Iterator[None]:
    file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch, file.open("rb", buffering=0) as raw:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
        yield


def test_standard_input_that_is_packed_is_told_so(onearm: Any, tmp_path: Path) -> None:
    with piped(tmp_path / "log", gzip.compress(TABLE)):
        done = onearm("evaluate", "-", "--format", "csv", "--target", "uniform")
    said = " ".join(done.err.split())
    assert (done.code, "begins as a file does that gzip packed: " in said, "or unpack it" in said) == (2, True, True)


def test_a_table_of_parquet_comes_through_standard_input(onearm: Any, tmp_path: Path) -> None:
    with piped(tmp_path / "log", in_parquet(b"")):
        done = onearm("evaluate", "-", "--format", "parquet", "--target", "logged", "--json", "--method", "match")
    assert (done.code, done.json["events"]) == (0, 2)
