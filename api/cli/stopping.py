"""Commands that go on until somebody stops them, and then end what they have begun."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def until_stopped() -> Iterator[Callable[[], bool]]:
    """Give what says whether to end: after Ctrl-C, or as a service manager asks for it."""
    asked: list[int] = []
    before = {
        name: signal.signal(name, lambda number, frame: asked.append(number))
        for name in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(asked)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
