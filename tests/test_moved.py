"""Modules that README and docs named by another name: they are found by it for one version, with a warning."""

from __future__ import annotations

import importlib
import sys
from typing import NamedTuple

import pytest
from support.moved_modules import MOVED

import onearm
from onearm.engine.kernel import KERNELS
from onearm.engine.protocol import register_env
from onearm.engine.vectors.rounding import rounding_bound


@pytest.mark.parametrize("old", MOVED)
def test_the_old_name_is_the_module_and_warns(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{old} is called {MOVED[old]} now") as warned:
        found = importlib.import_module(old)
    assert found is importlib.import_module(MOVED[old])
    assert len(warned) == 1


def test_a_function_that_was_renamed_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onearm.engine.rounding", raising=False)
    with pytest.warns(DeprecationWarning, match=r"doubt is onearm\.engine\.vectors\.rounding\.rounding_bound now"):
        found = importlib.import_module("onearm.engine.rounding")
    assert found.doubt is rounding_bound


def test_the_warning_points_at_who_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onearm.api.stream", raising=False)
    monkeypatch.delattr("onearm.api.stream", raising=False)
    with pytest.warns(DeprecationWarning) as warned:
        from onearm.api import stream  # noqa: F401
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.parametrize(
    ("old", "name", "new"),
    [
        ("onearm.engine.queries", "draw_answer", "onearm.engine.answers"),
        ("onearm.engine.queries", "recommend_best", "onearm.engine.queries.evidence"),
        ("onearm.engine.laws", "inverse_gap", "onearm.engine.laws.from_scores"),
    ],
)
def test_a_package_that_was_a_module_has_its_names(old: str, name: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{old}.{name} is in {new} now") as warned:
        found = getattr(importlib.import_module(old), name)
    assert found is getattr(importlib.import_module(new), name)
    assert [warning.filename for warning in warned] == [__file__]


class OldWorldParams(NamedTuple):
    """Params of an environment from outside that was written for 0.1."""

    loss: float


def test_an_environment_of_0_1_may_say_forfeit(monkeypatch: pytest.MonkeyPatch) -> None:
    def forfeit(params: OldWorldParams, state: None, recommendation: int) -> float:
        return params.loss

    monkeypatch.setitem(KERNELS, OldWorldParams, {})
    monkeypatch.delitem(KERNELS, OldWorldParams)
    with pytest.warns(DeprecationWarning, match="is called recommendation_loss= now"):
        register_env(OldWorldParams, respond=lambda *_: (0.0, 0), forfeit=forfeit)
    assert KERNELS[OldWorldParams]["recommendation_loss"] is forfeit


def test_the_usual_policy_is_the_default_now() -> None:
    with pytest.warns(DeprecationWarning, match='"usual" is called "default" now') as warned:
        engine = onearm.open(policy="usual", arms=3)
    assert engine.spec.policy.spec == onearm.open(arms=3).spec.policy.spec == onearm.open("default", 3).spec.policy.spec
    assert [warning.filename for warning in warned] == [__file__]
