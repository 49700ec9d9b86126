"""The benchmark of the defaults: each figure that was to be reached is looked at, and the page shows all of them."""

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
RESULT: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "defaults.json").read_text())
# where a figure stands, and one that is far from what was to be reached
SPOILT: list[tuple[tuple[str, ...], float]] = [
    (("units", "thompson_any", "b = 100"), 0.3),
    (("units", "fourier_softmax", "a = 1e6"), 0.3),
    (("delays", "fourier_softmax", "0"), 0.3),
    (("tables", "fourier_softmax", "mean"), 0.3),
    (("bernoulli", "thompson_any", "mean"), 1e4),
    (("bernoulli", "thompson_any", "worst_hundredth"), 1e4),
    (("grouped", "fourier_softmax", "as it is"), 0.6),
    (("grouped", "linucb", "alpha 1"), 0.9),
    (("many", "thompson_any"), 0.1),
    (("speed", "thompson_any"), 0.1),
    (("speed", "fourier_softmax"), 0.1),
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def missed(module: Callable[[str], ModuleType], result: dict[str, Any]) -> set[str]:
    return {each["claim"] for each in module("defaults_claims").claims(result) if not each["holds"]}


@pytest.mark.parametrize(("place", "wrong"), SPOILT)
def test_a_figure_that_is_not_reached_is_missed(
    module: Callable[[str], ModuleType], place: tuple[str, ...], wrong: float
) -> None:
    result = copy.deepcopy(RESULT)
    *path, last = place
    part = result
    for name in path:
        part = part[name]
    part[last] = wrong
    assert len(missed(module, result) - missed(module, RESULT)) == 1


def test_the_results_say_what_was_missed(module: Callable[[str], ModuleType]) -> None:
    recorded = {each["claim"] for each in RESULT["claims"] if not each["holds"]}
    assert missed(module, RESULT) == recorded


def test_the_page_shows_every_policy_and_what_was_missed(module: Callable[[str], ModuleType]) -> None:
    page = module("defaults_tables").defaults(RESULT)
    names = {
        *RESULT["units"],
        *RESULT["delays"],
        *RESULT["many"],
        *RESULT["grouped"],
        *(row["policy"] for row in RESULT["wide"]),
    }
    assert all(f"`{name}`" in page for name in names)
    assert all(each["claim"] in page for each in RESULT["claims"] if not each["holds"])


def test_judged_are_policies_over_digits_that_nobody_was_fitted_on(module: Callable[[str], ModuleType]) -> None:
    rows, right, laws = module("defaults")._judges()
    assert len(rows) == len(right) == len({row.tobytes() for row in rows})
    assert len(laws) == 5
    for law in laws.values():
        assert law.shape == (len(rows), 10)
        assert law.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert laws["fitted on 200"][np.arange(len(rows)), right].mean() > 0.7
