"""The benchmark of lists: what is missed is said, and the page shows each figure."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULT: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "lists.json").read_text())


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_what_was_measured_is_judged_as_it_says(module: Callable[[str], ModuleType]) -> None:
    assert module("lists").missed(RESULT) == RESULT["missed"]


@pytest.mark.parametrize("name", ["plain", "context", "actions"])
def test_lists_that_cost_too_much_are_missed(module: Callable[[str], ModuleType], name: str) -> None:
    spoilt = copy.deepcopy(RESULT)
    spoilt["costs"][name]["list_us"] = 2.6 * spoilt["costs"][name]["single_us"]
    assert f"costs 2.60 single decisions ({name})" in " ".join(module("lists").missed(spoilt))


def test_a_default_that_earns_too_little_is_missed_and_the_table_says_so(module: Callable[[str], ModuleType]) -> None:
    spoilt = copy.deepcopy(RESULT)
    spoilt["earned"]["adaptive"]["lost"] = 0.031
    spoilt["missed"] = module("lists").missed(spoilt)
    assert spoilt["missed"] == [*RESULT["missed"], "adaptive loses 3.1% to the best order: 3% is the limit"]
    table = module("lists_tables").lists(spoilt)
    assert "Missed: adaptive loses 3.1%" in table
    assert all(f"`{name}`" in table for name in RESULT["earned"])


def test_the_page_shows_the_table(module: Callable[[str], ModuleType]) -> None:
    assert module("lists_tables").lists(RESULT) in (ROOT / "docs" / "lists.md").read_text()
