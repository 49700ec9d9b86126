"""Commits of a service that are held up until they are let go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.served import Served


@contextmanager
def held_commits(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let no commit come through until the end, and yield what is set as soon as one waits."""
    waits, go_on, append = threading.Event(), threading.Event(), served.store.append

    def held(*given: Any) -> None:
        waits.set()
        assert go_on.wait(30)
        append(*given)

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "append", held)
        try:
            yield waits
        finally:
            go_on.set()
