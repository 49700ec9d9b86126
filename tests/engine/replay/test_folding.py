"""Rows of a log run as Python for a second at most; then whoever folds them waits for compiled code, and is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onearm.engine import columns
from onearm.engine.compiled.tiers import Entry
from onearm.engine.compiled.waiting import WAITING
from onearm.engine.replay import folding
from onearm.engine.vocabulary import Columns, Problem

N_ROWS = 100


class Compiling:
    """A loop whose compiled code is there as soon as somebody waits for it."""

    def name(self, signature: Any) -> str:
        return "fold(slow)"

    def hasten(self, entry: Entry) -> None:
        entry.call, entry.compiled = self.compiled, True

    def __init__(self, seconds: float, clock: list[float]) -> None:
        self._seconds, self._clock = seconds, clock
        self.runs: list[tuple[str, int]] = []

    def interpreted(self, params: Any, state: Any, run: Any, rows: Columns) -> None:
        self._clock[0] += self._seconds * len(rows.kind)
        self.runs.append(("as Python", len(rows.kind)))

    def compiled(self, params: Any, state: Any, run: Any, rows: Columns) -> None:
        self.runs.append(("compiled", len(rows.kind)))


@pytest.mark.parametrize(
    ("seconds", "expected", "told"),
    [
        (0.001, [("as Python", 16)] * 6 + [("as Python", 4)], []),
        (0.040, [("as Python", 16)] * 2 + [("compiled", 68)], ["fold(slow)"]),
    ],
)
def test_a_long_fold_waits_for_its_compiled_entry_and_says_so(
    monkeypatch: pytest.MonkeyPatch, seconds: float, expected: list[tuple[str, int]], told: list[str]
) -> None:
    clock, heard = [0.0], []
    monkeypatch.setattr(folding, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(WAITING, "listener", heard.append)
    slow = Compiling(seconds, clock)
    entry = Entry(slow, (), slow.interpreted, compiled=False)
    folding.run_rows(entry, None, None, np.uint64(0), columns.empty(N_ROWS, Problem(2)))
    assert (slow.runs, heard) == (expected, told)
