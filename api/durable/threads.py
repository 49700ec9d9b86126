"""Engines with a log may be shared between threads: each call has the engine for itself.

Engines in memory may not: a lock would take a good part of the time of their calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar, cast

from ..kinds.engine import PolicyEngine

Shared = TypeVar("Shared", bound=PolicyEngine[Any])


def shared(kind: type[Shared]) -> type[Shared]:
    """Return a class of engines with a log whose public methods and properties wait for one another."""
    public: dict[str, Any] = {}
    for one in reversed(kind.__mro__):
        if issubclass(one, PolicyEngine):
            public |= {name: found for name, found in vars(one).items() if not name.startswith("_")}
    calls = {name: _alone(found) for name, found in public.items() if isinstance(found, FunctionType)}
    told = {
        name: property(_alone(found.fget))
        for name, found in public.items()
        if isinstance(found, property) and found.fget
    }
    named = {name: getattr(kind, name) for name in ("__doc__", "__module__", "__qualname__")}
    made: Any = type(kind.__name__, (kind,), named | calls | told)
    return cast("type[Shared]", made)


def _alone(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that waits until no other thread is at a call of the engine."""

    @wraps(step)
    def call(engine: Any, /, *given: Any, **named: Any) -> Any:
        with engine._journal.calls:
            return step(engine, *given, **named)

    return call
