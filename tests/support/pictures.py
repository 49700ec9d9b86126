"""Reports whose pictures are empty, or one alone: to draw them takes a second, and few tests look at them."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from onearm.api.offline.report import drawing, page


def leave_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every picture of a report be there, and empty."""
    drawn = page.pictures
    monkeypatch.setattr(page, "pictures", lambda found: dict.fromkeys(drawn(found), lambda width: Figure((width, 1.0))))


def leave_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the folder of a report's pictures have one of them."""
    drawn = drawing.pictures
    monkeypatch.setattr(drawing, "pictures", lambda found: {name: drawn(found)[name]})
