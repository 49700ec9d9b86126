"""What can be typed to try an experiment: bodies that it takes, as small as they can be."""

from __future__ import annotations

from typing import Any, NamedTuple


class Sample(NamedTuple):
    """Bodies as JSON: of a decision, of its reward, and of what must be sent before, where that is so."""

    decision: dict[str, Any]
    reward: dict[str, Any]
    before: tuple[tuple[str, dict[str, Any]], ...] = ()  # each with its path below the experiment
