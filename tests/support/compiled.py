"""Kernels as compiled code that a test can call: where Python calls a kernel it runs as Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onearm.engine.kernel import Loop


def compiled(kernel: Callable[..., Any]) -> Loop:
    """Return a loop around a kernel or a routine: compiled where the JIT is on."""
    return Loop(getattr(kernel, "py_func", kernel))
