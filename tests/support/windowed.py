"""Experiments whose decisions have windows, in a service whose clock is turned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.served import Served, log_of
from support.slow_steps import Held, slow

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.clocks import Clocks
from onearm.engine import loop
from onearm.engine.kernel import Entry
from onearm.engine.vocabulary import LEARN

BEGIN = 1_700_000_000_000_000  # microseconds
GRACE = 5.0  # seconds


class Clock:
    """A clock on the wall, which somebody may set, and one that only goes on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.set_by = 0.0  # seconds

    def wall(self) -> int:
        return BEGIN + round((self.seconds + self.set_by) * 1e6)

    def monotonic(self) -> float:
        return self.seconds


class Windowed(Served):
    """The service with such a clock."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = Clock()
        super().__init__(folder, clocks=Clocks(self.clock.wall, self.clock.monotonic, GRACE), **options)

    def start(self, *, wait: bool = True) -> None:
        """Start it, and let nothing close by itself: here the closer lags as long as a test wants."""
        super().start(wait=wait)
        assert self.client.portal is not None
        self.client.portal.call(self.service.closing.stop)

    def pass_time(self, seconds: float, *, close: bool = True) -> None:
        """Let time pass, and close what is due then, unless the closer is to lag."""
        self.clock.seconds += seconds
        if close:
            self.close_due()

    def close_due(self) -> None:
        assert self.client.portal is not None
        self.client.portal.call(self.service.closing.close_due)
        self.client.portal.call(self.service.writer.drain)

    def report(self, experiment_id: str = "e") -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/experiments/{experiment_id}/report").json()
        return found


@contextmanager
def half_closed(served: Windowed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Close the windows that are due as steps take long, and hold the third: two are learned, and not on their way."""
    _, update = slow(served, monkeypatch)
    windows = served.service.live("e").windows
    assert windows is not None
    windows.fold = Entry(loop.fold, (), loop.fold.python, compiled=False)
    held = Held(update.call, free=2)
    monkeypatch.setattr(update, "call", held)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(served.close_due)
        try:
            assert held.begun.wait(60)
            yield held
        finally:
            held.let_go.set()
        closing.result(60)


def learned(served: Windowed) -> dict[int | None, tuple[float | None, str | None]]:
    """Return the reward that was learned of each decision, by number, and why, once all of it is committed."""
    assert served.client.portal is not None
    served.client.portal.call(served.service.writer.drain)  # an answer waits for its own event alone
    events = log_of(served.store, "e")[1]
    return {event.number: (event.reward, event.detail) for event in events if event.kind == LEARN}


def assert_clean(served: Windowed) -> None:
    """Check that state, counters and record are what the log says."""
    served.assert_consistent()
    assert not any(map(has_fault, verified(served.url)))
