"""Whether the decisions of a log are whole lists, and whether their last slots say what all of them got."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ....engine.errors import as_seen
from ....engine.storage.records import Event
from ...experiment.explanation_schemas import Explanation
from ..kind import id_of
from .bodies import FilledSlot, SlotDetail
from .http import DETAIL, filled


class WholeLists:
    """The decisions of a log, one after another; `labels` are the ids of the actions that one could choose from.

    A list that broke off before another one began is let pass: versions before 0.2 left those on record where a policy
    failed in the middle of a list.
    """

    def __init__(self, labels: Callable[[Event], Sequence[str]]) -> None:
        self._labels = labels
        self._last: SlotDetail | None = None  # of the decision before, where its list has more slots
        self._number = 0  # of the next decision
        self._slots: list[FilledSlot] = []  # of the list at work

    def fault(self, event: Event) -> str | None:
        """Take the next decision; return what is wrong with it."""
        number = event.number or 0
        last, is_next = self._last, number == self._number
        self._last, self._number = None, number + 1
        if event.detail is None and event.decision_id is None:
            return None  # it is erased
        try:
            detail = SlotDetail("", "", 0, 1) if event.detail is None else DETAIL.decode(event.detail)
        except msgspec.DecodeError as error:
            return f"decision {number} does not say of which list it is ({error}): export the log again"
        if event.detail is None or not _continues(last if is_next else None, detail):
            return (
                f"decision {number} is not the next slot of the list of the decision before it, nor the first one of "
                "another: export the log again"
            )
        if detail.place == 0:
            self._slots = []
        labels = self._labels(event)
        if event.action is None or not 0 <= event.action < len(labels):
            return f"decision {number} took action {event.action} of {len(labels)}: export the log again"
        said = detail.said or Explanation()
        self._slots.append(filled(detail.slot_id, labels[event.action], event.propensity, said))
        if detail.place < detail.slots - 1:
            self._last = detail
            return None
        return self._fault_of_all(event, detail)

    def end(self) -> str | None:
        """Return what is wrong with the end of the log: that it is in the middle of a list."""
        if self._last is None:
            return None
        there = self._last.place + 1
        return (
            f"the log ends with {there} of the {self._last.slots} slots of the list {as_seen(self._last.list_id)}: it "
            "was cut there, so export it again; or a policy failed there, and these decisions are to be left out"
        )

    def _fault_of_all(self, event: Event, detail: SlotDetail) -> str | None:
        """Return what is wrong with the last slot of a list, which says what all got."""
        if detail.list_id != id_of(event):
            return (
                f"decision {event.number} is the last slot of the list {as_seen(detail.list_id)} and has another id: "
                "export the log again"
            )
        for place, one in enumerate(self._slots):
            if place >= len(detail.filled) or detail.filled[place] != one:
                told = as_seen(detail.filled[place]) if place < len(detail.filled) else "nothing"
                return (
                    f"decision {event.number} says of slot {place} of its list {told}, and the decision for that slot "
                    f"is {as_seen(one)}: the last slot repeats what all got; export the log again"
                )
        return None


def _continues(last: SlotDetail | None, detail: SlotDetail) -> bool:
    """Tell whether a slot is the first one of a list, or the one behind the last."""
    if detail.place == 0:
        return True
    return last is not None and (last.list_id, last.place + 1, last.slots) == (
        detail.list_id,
        detail.place,
        detail.slots,
    )
