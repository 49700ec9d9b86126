"""Which events of a log the state of a policy has learned: those on its path.

It is all of them, until the state is set (`StateSet`): to what it would be had earlier rewards been what they are
corrected to, or back to what it was at an earlier event. What was learned between that event and the change is then on
its path no more, and where a later state is set back to one of before, it is again.

>>> paths = Paths()
>>> paths.add(20, StateSet(9, "rolled_back", (Setting(0, 12, 20),)))
>>> paths.stretches(0, 30), paths.stretches(0, 15), paths.corrected_to(0, 30)
([(0, 12), (20, 30)], [(0, 15)], 20)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from ...engine.storage.corrections import Correction


class Setting(msgspec.Struct, frozen=True):
    """What the state of one policy becomes: that of the log up to a seq, with the corrections up to another."""

    policy: int  # its number
    to: int
    corrected_to: int


class StateSet(msgspec.Struct, frozen=True, tag_field="change", tag="state_set"):
    """The states of all who decide are set."""

    number: int  # of the next decision
    why: Literal["corrected", "rolled_back"]
    settings: tuple[Setting, ...]


class Reset(NamedTuple):
    """States that are set by an event of the log."""

    seq: int
    settings: tuple[Setting, ...]


class Paths:
    """The paths of all policies, as the changes of a log make them."""

    def __init__(self) -> None:
        self.resets: dict[int, Reset] = {}  # by seq, in order
        self.born: dict[int, int] = {}  # the seq behind which a policy began to learn, where that is not the beginning
        self._of: defaultdict[int, list[tuple[int, Setting]]] = defaultdict(list)  # by policy: each with its seq

    def add(self, seq: int, change: StateSet) -> None:
        """Enter the next change that sets states."""
        self.resets[seq] = Reset(seq, change.settings)
        for one in change.settings:
            self._of[one.policy].append((seq, one))

    def stretches(self, policy: int, seq: int) -> list[tuple[int, int]]:
        """Return what the state after the event of a seq has learned: behind the first of each pair, to the second."""
        found = [(0, seq)]
        for at, setting in reversed(self._of[policy]):
            begin, until = found[-1]
            if at > until:
                continue
            found[-1] = (at, until)
            if setting.to == at - 1:
                found[-1] = (begin, until)
            else:
                found.append((begin, setting.to))
        return found[::-1]

    def corrected_to(self, policy: int, seq: int) -> int:
        """Return up to which seq corrections are known to the state after the event of a seq."""
        first = self.born.get(policy, 0)  # what was corrected before it has not learned
        return next((one.corrected_to for at, one in reversed(self._of[policy]) if at <= seq), first)

    def is_on(self, setting: Setting, seq: int) -> bool:
        """Tell whether an event is on the path of what a state is set to."""
        return any(after <= seq <= until for after, until in self.stretches(setting.policy, setting.to))

    def leads_on(self, setting: Setting, seq: int, corrections: Sequence[Correction]) -> bool:
        """Tell whether what a state is set to can be folded from the state after the event of a seq.

        That must be on its path, and nothing that it has learned may be corrected since.
        """
        known = self.corrected_to(setting.policy, seq)
        return self.is_on(setting, seq) and not any(
            known < one.seq <= setting.corrected_to and one.learned <= seq for one in corrections
        )
