"""Whether the windows of a log closed with what came in them: the rewards together, or the default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...engine.storage.records import Event
from ...engine.storage.windows import (
    DEFERRED,
    DONE,
    beside_in,
    early_seq,
    is_late,
    why_closed,
)
from ...engine.vocabulary import ACTIVATION, EARLY, LEARN, OUTCOME
from ..experiment.window import Window


class Fault(NamedTuple):
    """What is wrong with a decision."""

    number: int
    note: str


def fault_of(window: Window, events: Iterable[Event]) -> Fault | None:
    """Return the first thing that is wrong with what windows came to, of the events of a log beside its decisions.

    Keeps the rewards of open windows, the early ones whose decisions were not made, and those that came when another
    one was learned at once.
    """
    came: dict[int, list[float]] = {}  # rewards in windows, by the decision's number
    beside: dict[int, list[float] | None] = {}  # what was told beside the first of them
    late: dict[int, list[float]] = {}  # those after their end, where they are learned if none came before
    early: dict[int, float | None] = {}  # by their seqs
    never_shown: set[int] = set()
    for event in events:
        number = event.number or 0
        if event.kind == EARLY:
            early[event.seq] = event.reward
        elif event.kind == ACTIVATION and event.detail not in (DEFERRED, DONE):
            came.pop(number, None)
            beside.pop(number, None)
            never_shown.add(number)
        elif event.kind == OUTCOME and is_late(event):
            if window.late == "learn" and event.reward is not None:
                late.setdefault(number, []).append(event.reward)
        elif event.kind == OUTCOME:
            seq = early_seq(event)
            if seq is not None and early.pop(seq, None) != event.reward:
                return Fault(number, f"the reward of decision {number} at seq {event.seq} came as another at seq {seq}")
            if number not in never_shown and event.reward is not None:
                came.setdefault(number, []).append(event.reward)
                beside.setdefault(number, beside_in(event.detail))
        elif event.kind == LEARN and (why := why_closed(event)) is not None:
            too_late = late.pop(number, [])
            rewards = came.pop(number, too_late)
            told = beside.pop(number, None)
            if beside_in(event.detail) != told:
                says = f"decision {number} was learned with {beside_in(event.detail)} at seq {event.seq}"
                return Fault(number, f"{says}, and what was told beside its first reward is {told}")
            if number in never_shown:
                return Fault(number, f"decision {number} was learned at seq {event.seq}, and was never shown")
            whys = _whys(window, rewards)
            if event.reward != (together := window.together(rewards)) or why not in whys:
                return Fault(
                    number,
                    f"the window of decision {number} closed with {event.reward} at seq {event.seq}, and "
                    + (f"its {len(rewards)} rewards come to {together}" if rewards else f"the default is {together}"),
                )
    return None


def _whys(window: Window, rewards: Sequence[float]) -> tuple[str, ...]:
    """Return why a decision may have been learned of which these rewards came before."""
    if not rewards:
        return ("default",)
    return ("reward", "at_once") if window.learns_at_once else ("reward",)
