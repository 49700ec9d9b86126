"""A store of an engine with a log that writes nothing for a while."""

from __future__ import annotations

from typing import Any

import pytest

from onearm.api.kinds.arms.engine import Engine
from onearm.engine.errors import Unavailable

FULL = Unavailable("commit_failed", "nothing was written, as the disk is full")


class Broken:
    """A store that writes nothing while there is an `error`, which it raises."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        store = engine._journal.store  # type: ignore[union-attr]
        self.append = store.append
        self.error: BaseException | None = None
        monkeypatch.setattr(store, "append", self)

    def __call__(self, *given: Any, **named: Any) -> None:
        if self.error is not None:
            raise self.error
        self.append(*given, **named)
