"""Vowpal Wabbit's text by compiled code: the events, slots and bad lines of the reader in Python, to the bit."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.featuriser import pages
from onearm.engine.featuriser.vw_lines import empty_runs, read_runs
from onearm.engine.storage.formats.vw import reader
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source

NAMES = ["a", "b", "word", "x" * 20, "ü", "日本", "_hidden", "a.b", "id", "a=b", "", "0", "7" * 300]
BLANKS = [" ", " ", " ", "  ", "\t", " \t "]
VALUES = ["", "", "", ":1", ":0.5", ":-2.25", ":1e3", ":.5", ":3.", ":0", ":0.123456789012345678", ":+4", ":1e-30"]
ODD = [
    "\xa0",
    ":nan",
    ":1e999",
    ":",
    "|",
    "::",
    "1:2:3",
    ":1_0",
    "\x0b",
    "\x1c",
    "'",
    "\u3000",
    ":1e16",
    "\x85",
    "y" * 1001,
]
LABELS = ["0:-1.0:0.5", "1:2:1", "3:0.25:.1", "2:-3e2:0.125"]
BAD_LABELS = [
    "0:1:0",
    "0:x:0.5",
    "0:1:2",
    "0:1",
    "7",
    "0:1:0.5 1:1:0.5",
    "shared",
    "0:-1:0.5 'tag",
    "a:1:0.5",
    "0:1e101:1",
]


def features(draws: random.Random, odd: float) -> str:
    """Return the namespaces of a line."""
    text = ""
    for _ in range(draws.choice([0, 1, 1, 1, 2, 3])):
        text += "|" + draws.choice(["", "u", "item", "ü", "_no", "u:2", "w:-0.5", "u" * 30])
        for _ in range(draws.randint(0, 8) if draws.random() < 0.8 else draws.randint(9, 40)):
            word = draws.choice(NAMES) + draws.choice(VALUES)
            text += draws.choice(BLANKS) + (word + draws.choice(ODD) if draws.random() < odd else word)
        text += draws.choice(["", " "])
    return text or "|"


def log_of(seed: int, n: int = 60) -> bytes:
    """Return some events, and what is none."""
    draws = random.Random(seed)
    odd = draws.choice([0.0, 0.0, 0.003, 0.05])
    lines: list[bytes] = []
    for _ in range(n):
        k = draws.randint(1, 5)
        chosen = draws.randrange(k) if draws.random() > odd else draws.choice([-1, 0])
        if draws.random() < 0.6:
            lines.append(f"shared {draws.choice(['', chr(39) + 'tag ', 'tag'])}{features(draws, odd)}".encode())
        for a in range(k):
            label = draws.choice(LABELS if draws.random() > odd else BAD_LABELS) + " " if a == chosen else ""
            text = f"{label}{draws.choice(['', chr(39) + 'a7 ', 'a7'])}|a x{a} {features(draws, odd)}"
            lines.append(text.encode() + (b"\xff" if draws.random() < odd / 9 else b""))
        lines += [draws.choice([b"", b"", b"", b"  ", b"\r", b"\x0b"] if odd else [b""])] * draws.choice([1, 1, 2])
    text = draws.choice([b"\n", b"\n", b"\r\n"]).join(lines)
    return text if draws.random() < 0.5 else text.rstrip()


def said_of(path: Path) -> Any:
    """Return what a reader says of a log: columns as bytes, and what was bad."""
    try:
        with reader.read_rows(Source(path), Wanted()) as rows:
            columns, problem = rows.columns(), rows.problem
            arrays = [*columns[:6], *columns.context, columns.available]
            kept = [(np.asarray(array).dtype, np.asarray(array).tobytes()) for array in arrays]
            return kept, problem, rows.decisions, rows.bad_lines.count, rows.bad_lines.lines
    except InvalidInput as error:
        return str(error)


def in_both_ways(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Return what compiled code says of a log, and what Python does."""
    monkeypatch.setattr(pages, "PLAIN_MAX", -1)
    fast = said_of(path)
    monkeypatch.setattr(pages.Pages, "can_read", lambda this, block: False)
    plain = said_of(path)
    monkeypatch.undo()
    return fast, plain


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(40))
def test_compiled_code_reads_what_python_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    file = tmp_path / "log.vw"
    file.write_bytes(log_of(seed))
    fast, plain = in_both_ways(file, monkeypatch)
    assert fast == plain


@pytest.mark.jit
def test_usual_events_are_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PLAIN_MAX", -1)
    read = pages.Pages(read_runs, empty_runs(100), reader.encoder_of(None, False).slots_wanted)
    assert read.can_read(b"")
    text = b"shared 'e7|user age:31 new |query red shoes\n0:-1.0:0.85 |item id=a\n 'b|item id=b:2 price:1e3\n\n" * 50
    parts = list(read.read(text, 0))
    assert [len(part.event) for part in parts if isinstance(part, pages.Stretch)] == [50]
    assert len(parts) == 1


@pytest.mark.jit
@pytest.mark.parametrize("kept", [1.0, 0.9, 0.5])
def test_a_log_that_is_cut_short_is_read_to_the_same_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: float
) -> None:
    packed = gzip.compress(b"".join(log_of(seed) + b"\n\n" for seed in range(4)))
    file = tmp_path / "log.vw.gz"
    file.write_bytes(packed[: int(kept * len(packed))])
    fast, plain = in_both_ways(file, monkeypatch)
    assert fast == plain
    assert ("truncated" in fast[3]) == (kept < 1)
