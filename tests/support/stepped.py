"""Simulations a step at a time: `simulate` runs as Python, and calls the compiled `decide` and `learn`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest

from onearm.engine import loop
from onearm.engine.vocabulary import Decision


def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let simulations whose rewards come at once compile what Python and the service call, and no loop around it."""
    stepped = FunctionType(loop.simulate.python.__code__, vars(loop) | KERNELS)
    monkeypatch.setattr(loop.simulate, "compiled", lambda *args: stepped)


def _select(*arguments: Any) -> Decision:
    return Decision(*loop.decide(*arguments))


# `decide` takes note of decisions itself.
KERNELS = {"select": _select, "mark": lambda *arguments: None, "update": loop.learn}
