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
from support.colours import can_be_read

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
    (("many", "thompson_any", "1000"), 0.1),
    (("speed", "thompson_any"), 0.1),
    (("speed", "fourier_softmax"), 0.1),
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def missed(module: Callable[[str], ModuleType], result: dict[str, Any]) -> set[str]:
    return {each["claim"] for each in module("defaults_claims").claims(result) if not each["holds"]}


def differs(file: Path, folder: Path) -> bool:
    return file.read_bytes() != (folder / file.name).read_bytes()


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


def test_the_plots_are_those_of_the_results(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    plots = module("defaults_plots")
    files = [Path(file) for file in plots.draw(RESULT, tmp_path)]
    assert [file.name for file in files] == list(plots.PLOTS)
    stale = [file.name for file in files if differs(file, plots.RESULTS)]
    assert stale == [], "draw them with python benchmarks/defaults_plots.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "plot"),
    [
        (("delays", "linucb", "100"), "defaults_late.svg"),
        (("units", "thompson_beta", "b = 100"), "defaults_units.svg"),
        (("many", "moss", "1000"), "defaults_many.svg"),
    ],
)
def test_a_plot_shows_other_results_otherwise(
    module: Callable[[str], ModuleType], path: tuple[str, str, str], plot: str, tmp_path: Path
) -> None:
    plots, (part, policy, column) = module("defaults_plots"), path
    other = copy.deepcopy(RESULT)
    other[part][policy][column] += 0.01
    changed = [Path(file).name for file in plots.draw(other, tmp_path) if differs(Path(file), plots.RESULTS)]
    assert changed == [plot]


def test_the_page_shows_each_plot_and_says_what_is_to_be_seen(module: Callable[[str], ModuleType]) -> None:
    plots, text = module("defaults_plots"), (ROOT / "docs" / "figures.md").read_text()
    for name, line in zip(plots.PLOTS, plots.shown(RESULT).splitlines(), strict=True):
        assert line in text and line.endswith(f"](../benchmarks/results/{name})") and len(line) > 100
    assert f"and {RESULT['delays']['fourier_softmax']['400']:.2f}" in plots.shown(RESULT)


def test_every_colour_of_the_plots_can_be_read_on_white_and_at_night(module: Callable[[str], ModuleType]) -> None:
    plots = module("defaults_plots")
    colours = {*plots.COLOURS.values(), plots.OTHER, module("drawing").TEXT}
    assert len(colours) == 5 and all(map(can_be_read, colours))


def test_judged_are_policies_over_digits_that_nobody_was_fitted_on(module: Callable[[str], ModuleType]) -> None:
    rows, right, laws = module("defaults")._judges()
    assert len(rows) == len(right) == len({row.tobytes() for row in rows})
    assert len(laws) == 5
    for law in laws.values():
        assert law.shape == (len(rows), 10)
        assert law.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert laws["fitted on 200"][np.arange(len(rows)), right].mean() > 0.7
