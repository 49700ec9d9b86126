"""Bars in a notebook: shown as elements of the page, and gone when the work is done."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from onearm.api import bars, console


class ZMQInteractiveShell:
    """What Jupyter runs; a kernel of its own takes seconds to start, and 50 MB to install."""


class Handle:
    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, page: str) -> None:
        self.shown.append(page)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run in a notebook; return what its page has shown."""
    found: list[str] = []
    notebook: Any = ModuleType("IPython")
    notebook.get_ipython = ZMQInteractiveShell
    display: Any = ModuleType("IPython.display")
    display.HTML = str

    def show(page: str, display_id: bool) -> Handle:
        assert display_id
        found.append(page)
        return Handle(found)

    display.display = show
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return found


def test_a_notebook_shows_a_bar_that_goes(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "EVERY_S", 0.0)
    with console.progress("reading", 10, "rows") as advance:
        advance(4)
    assert shown[0] == 'reading <progress value="0" max="10"></progress> 0 / 10 rows'
    assert shown[1].startswith('reading <progress value="4" max="10"></progress> 4 / 10 rows, ')
    assert shown[2] == ""


def test_a_bar_does_not_change_the_page_at_every_step(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10_000))
    monkeypatch.setattr(bars, "time", SimpleNamespace(monotonic=lambda: next(now) / 1024))
    monkeypatch.setattr(bars, "EVERY_S", 0.25)
    with console.progress("reading", None, "rows") as advance:
        for _ in range(1000):
            advance(1)
    changes = [page.partition("</progress> ")[2].partition(" ")[0] for page in shown]
    assert changes == ["0", "256", "512", "768", ""]


def test_elsewhere_there_is_no_notebook() -> None:
    assert not bars.is_notebook()
