"""Modules that README and docs named by another name: they are found by it for one version, with a warning."""

from __future__ import annotations

import importlib
import sys

import pytest

MOVED = {
    "onearm.engine.experiment": "onearm.engine.simulation",
    "onearm.engine.hindsight": "onearm.engine.vectors.hindsight",
    "onearm.engine.storage.obd": "onearm.engine.storage.formats.obd",
    "onearm.engine.storage.slots": "onearm.engine.storage.formats.slots",
    "onearm.api.stream": "onearm.api.arms_once",
    "onearm.policies.optimistic_ensemble": "onearm.policies.vectors.optimistic_ensemble",
}


@pytest.mark.parametrize("old", MOVED)
def test_the_old_name_is_the_module_and_warns(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{old} is called {MOVED[old]} now") as warned:
        found = importlib.import_module(old)
    assert found is importlib.import_module(MOVED[old])
    assert len(warned) == 1


def test_the_warning_points_at_who_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onearm.api.stream", raising=False)
    monkeypatch.delattr("onearm.api.stream", raising=False)
    with pytest.warns(DeprecationWarning) as warned:
        from onearm.api import stream  # noqa: F401
    assert [warning.filename for warning in warned] == [__file__]
