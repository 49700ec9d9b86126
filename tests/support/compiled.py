"""Kernels as compiled code that a test can call: where Python calls a kernel it runs as Python; and loops as Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from onearm.engine.kernel import Loop


def compiled(kernel: Callable[..., Any]) -> Loop:
    """Return a loop around a kernel or a routine: compiled where the JIT is on."""
    return Loop(getattr(kernel, "py_func", kernel))


def as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all loops of this process run as Python from now on, also those that somebody would wait for."""
    monkeypatch.setattr(Loop, "compiled", lambda this, *args: this._interpreted)
    monkeypatch.setattr(Loop, "__call__", lambda this, *args: this._interpreted(*args))


@contextmanager
def all_as_python() -> Iterator[None]:
    """Let all loops of this process run as Python in a block: what compiled code is compared with."""
    with pytest.MonkeyPatch.context() as alone:
        as_python(alone)
        yield
