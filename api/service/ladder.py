"""States that `verify` keeps of what it has folded, so that what is set back or corrected is not folded from nothing.

Of n events it keeps about 2 log2 n, the nearer together the newer they are: to fold again from any event on takes at
most about twice the way back to it.

>>> thinned([0, 1, 2, 3, 4, 5, 6, 7, 8], 8)
[0, 4, 6, 7, 8]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...engine import snapshot
from ...engine.errors import Damaged
from .folded import finished
from .history import History
from .paths import Reset, Setting
from .refold import Begun, Log, at_first, gone_on, grown_to


def thinned(seqs: Sequence[int], now: int) -> list[int]:
    """Return those of some seqs, in order, that are kept when a log has come to `now`."""
    kept = list(seqs)
    place = 1
    while place < len(kept) - 1:
        if kept[place + 1] - kept[place - 1] <= now - kept[place + 1]:
            del kept[place]
        else:
            place += 1
    return kept


class Ladder:
    """The states of those who decide, by their numbers, at some seqs of a log that is being folded."""

    def __init__(self, log: Log, history: History) -> None:
        self._log, self._history = log, history
        self._kept: dict[int, dict[int, Any]] = {}
        self._firsts: dict[int, int] = {}  # the seq with which each policy was kept first: it stays
        self._begins: int | None = None

    def keep(self, seq: int, states: Mapping[int, Any]) -> None:
        """Keep copies of the states after the event of a seq, which is the next."""
        self._begins = seq if self._begins is None else self._begins
        self._kept[seq] = {number: snapshot.copied(state) for number, state in states.items()}
        for number in states:
            self._firsts.setdefault(number, seq)
        stay = {*thinned([*self._kept], seq), *self._firsts.values()}
        self._kept = {at: kept for at, kept in self._kept.items() if at in stay}

    def again(self, reset: Reset) -> dict[int, Any]:
        """Return what states are set to, by the numbers of their policies; O(events behind the nearest kept).

        Raises `Damaged` where that begins before what was kept first.
        """
        store, key, _ = self._log
        corrections = store.corrections(key, reset.seq)
        made = {}
        for setting in reset.settings:
            steps = gone_on(self._log, self._history, setting, self._nearest(setting, reset.seq), corrections)
            made[setting.policy] = grown_to(self._log, self._history, setting, finished(steps), reset.seq)
        return made

    def _nearest(self, setting: Setting, seq: int) -> Begun:
        corrections = self._log.store.corrections(self._log.key, setting.corrected_to)
        for at in reversed(self._kept):
            there = at <= setting.to and setting.policy in self._kept[at]
            if there and self._history.paths.leads_on(setting, at, corrections):
                return Begun(at, snapshot.copied(self._kept[at][setting.policy]))
        begun = at_first(self._log, self._history, setting.policy)
        if begun.seq < (self._begins or 0):
            raise Damaged("before_base", f"what is set at seq {seq} begins before the base: restore a backup")
        return begun
