"""The benchmark of the solvers: it compares like with like, and the figures that are kept reach what is asked for."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.sor_systems import dense

from onearm.engine.solvers.sor import laplacian


@pytest.fixture
def speed(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("solver_speed")


def test_pyamg_and_scipy_get_the_matrix_that_we_get(speed: ModuleType) -> None:
    matrix = speed.scipy_laplacian(4)
    assert np.array_equal(matrix.toarray(), dense(laplacian(4)))
    assert (matrix.indptr.dtype, matrix.indices.dtype, matrix.has_sorted_indices) == (np.int32, np.int32, 1)


def test_rivals_take_turns_and_are_prepared_before_each(speed: ModuleType) -> None:
    calls: list[str] = []
    rivals = {
        name: speed.Rival(lambda name=name: calls.append(name), 1.0, lambda name=name: calls.append(f"prepare {name}"))
        for name in ("a", "b")
    }
    times = speed.in_turns(rivals, 2, lambda: calls.append("step"))
    turn = ["prepare a", "a", "prepare b", "b"]
    assert calls == [*turn, *turn, "step", *turn, "step"]
    assert [len(times[name]) for name in rivals] == [2, 2]


def test_the_figures_that_are_kept_reach_what_is_asked_for(speed: ModuleType) -> None:
    kept = json.loads(speed.RESULT.read_text())
    asked = kept["asked"]
    assert asked == speed.ASKED
    for grid in kept["grid"].values():
        assert grid["sweep"] <= asked["sweep"]
        assert grid["ratio"] >= asked["ratio"]
        assert grid["red_black"] <= asked["red_black"]
    for name in ("lanes", "solve_alone_us", "solve_in_lanes_us"):
        assert kept["small"][name] <= asked[name]
    for name in ("tsallis_inf", "chebcb"):
        assert set(kept["learners_us"][name]) == {str(t) for t in speed.LEARNED}
        assert max(kept["learners_us"][name].values()) <= asked[f"{name}_us"]
