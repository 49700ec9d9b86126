"""The benchmark of named features: its sets are what they say, and its table shows what was measured."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from onearm.engine.snapshot import digest

ROOT = Path(__file__).resolve().parents[2]

MACHINE = {
    "cpu": "CPU",
    "cores": 2,
    "system": "Linux",
    "python": "3.11",
    "numpy": "2",
    "numba": "0",
    "commit": "abc",
    "date": "2026-01-01",
}

RESULT: dict[str, Any] = {
    "machine": MACHINE,
    "sets": {
        "text": {"default": [0.1, 0.01], "vw_best": [0.2, 0.01, "--epsilon 0, costs 1 and 0"]},
        "digits": {"default": [0.3, 0.02]},
    },
    "categories": {"country": {"default": [0.7, 0.9, 0.95, 0.99]}},
    "speed": {
        "machine": MACHINE,
        "logs": {
            "words": {
                "read": 140e3,
                "learned": 60e3,
                "from_slots": 105e3,
                "vw": 120e3,
                "vw_products": 50e3,
                "asked": 0.5,
            },
            "dsjson": {"read": 1e5, "learned": 5e4, "from_slots": 1e5, "asked": 1.0},
        },
        "microseconds": {"62 features": [18.25, 30.0]},
    },
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_words_are_weighted_by_how_rare_they_are(module: Callable[[str], ModuleType]) -> None:
    rows, label = module("sparse_sets").weighted([(["a", "b", "b"], 0), (["a", "c"], 1), (["a"], 1)])
    assert label == [0, 1, 1]
    assert rows == [{"b": 1.0}, {"c": 1.0}, {}]  # what every document has says nothing
    rows, _ = module("sparse_sets").weighted([(["a", "b", "b"], 0), (["c"], 1)])
    assert math.isclose(sum(size * size for size in rows[0].values()), 1.0)
    assert math.isclose(rows[0]["b"] / rows[0]["a"], 1 + math.log(2))


def test_the_table_shows_each_set_and_each_quarter(module: Callable[[str], ModuleType]) -> None:
    tables = module("tables")
    page = tables.TABLES["sparse"](RESULT)
    for words in ("| `default` | 0.1 ± 0.01 | 0.3 ± 0.02 |", "| `vw_best` | 0.2 ± 0.01 | - |", "text: `--epsilon 0"):
        assert words in page, page
    assert "| `default`, by country | 0.700 | 0.900 | 0.950 | 0.990 |" in page
    words = "| words | 140.0 k/s | 60.0 k/s | 105.0 k/s | 120.0 k/s | 50.0 k/s | 0.50 | 1.20 | 2.10 | 0.5 |"
    assert words in page, page
    assert "| dsjson | 100.0 k/s | 50.0 k/s | 100.0 k/s | - | - | - | - | - | 1 |" in page
    assert "| 62 features | 18.2 us | 30 us |" in page


def test_the_rows_of_a_log_are_learned(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    speed = module("sparse_speed")
    log = tmp_path / "log.vw"
    log.write_text("".join(islice(speed.as_text(speed.words()), 5)))
    with speed.module_of("vw").read_rows(speed.Source(log), speed.Wanted()) as rows:
        policy = speed.catalog.make(speed.POLICY)
        assert digest(speed.learned(rows)) != digest(policy.init(policy.params, rows.problem))
