"""The benchmark of budgets: each figure is looked at, the page shows all, prompts and mixtures are what they say."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULT: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "budgets.json").read_text())
# a row, a figure of ours that is far from what was to be reached, and how many claims look at it
SPOILT = [
    *((row, "of_mixture", 0.9) for row in range(3)),
    *((row, "spent", 1.1) for row in range(6)),
    *((row, "most_spent", 1.1) for row in range(6)),
    *((row, "reward", 0.8) for row in range(3)),
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize(("row", "figure", "wrong"), SPOILT)
def test_a_figure_that_is_not_reached_is_missed(
    module: Callable[[str], ModuleType], row: int, figure: str, wrong: float
) -> None:
    budgets = module("budgets")
    spoilt = copy.deepcopy(RESULT["limits"])
    spoilt[row]["ours"][budgets.CLAIMED][figure] = wrong
    before, after = budgets.claims(RESULT["limits"]), budgets.claims(spoilt)
    moved = [each for was, each in zip(before, after, strict=True) if each["value"] != was["value"]]
    assert len(moved) == 1 and not moved[0]["holds"]


def test_the_results_say_what_was_missed(module: Callable[[str], ModuleType]) -> None:
    assert module("budgets").claims(RESULT["limits"]) == RESULT["claims"]


def test_the_page_shows_everybody_and_what_was_missed(module: Callable[[str], ModuleType]) -> None:
    page = module("budgets_tables").budgets(RESULT)
    for row in RESULT["limits"]:
        for name, found in {**row["ours"], **row["paretobandit"]}.items():
            assert name in page and f"{found['reward']:.4f} ({found['spent']:.2f})" in page
    assert all(each["claim"] in page for each in RESULT["claims"] if not each["holds"])


def small(module: Callable[[str], ModuleType]) -> Any:
    """Return two prompts to learn on and four more; each number says which prompt it belongs to."""
    rewards = np.array([[0.0, 9.0, 9.0]] * 2 + [[0.2, 0.8, 1.0]] * 4)
    costs = np.array([[1.0, 1.0, 1.0]] * 2 + [[0.0, 1.0, 10.0]] * 4)
    return module("routing").Prompts(2, np.arange(6.0)[:, None], rewards, costs)


def test_the_best_mixture_by_hand(module: Callable[[str], ModuleType]) -> None:
    """Of a limit of .5 half goes to the middle model, of 1.9 a tenth to the dear one and the rest to the middle one."""
    assert small(module).best_mixture(0.5) == pytest.approx(0.5 * 0.2 + 0.5 * 0.8)
    assert small(module).best_mixture(1.9) == pytest.approx(0.9 * 0.8 + 0.1 * 1.0)


def test_an_order_keeps_rows_together_and_the_stream_behind(module: Callable[[str], ModuleType]) -> None:
    data = small(module)
    order = data.shuffled(3, factor=2.0)
    assert set(order.contexts[:2, 0]) == {0.0, 1.0} and set(order.contexts[2:, 0]) == {2.0, 3.0, 4.0, 5.0}
    assert order.listed == data.listed == [1.0, 1.0, 1.0]
    assert order.costs[2:].tolist() == [[0.0, 1.0, 10.0]] * 2 + [[0.0, 2.0, 20.0]] * 2
    assert data.costs[2:].tolist() == [[0.0, 1.0, 10.0]] * 4


def test_only_the_stream_counts(module: Callable[[str], ModuleType]) -> None:
    """A limit that all models keep to: the dear one, which earns most, is found among the first and played."""
    rewards = np.tile([0.0, 0.5, 1.0], (60, 1)) + 0.05 * (np.arange(60) % 3)[:, None]
    data = module("routing").Prompts(50, np.zeros((60, 1)), rewards, np.tile([1.0, 2.0, 3.0], (60, 1)))
    earned, spent = module("budgets").played(data, 3.0, "squarecb", False, 1)
    assert earned > 0.9 and spent > 2.7
    assert module("budgets").of_stream(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]), 1) == (3.0 + 4.0) / 2
