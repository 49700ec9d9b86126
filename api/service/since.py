"""What came of the decisions since the last change of the world: kept where it was asked for, and gone on with."""

from __future__ import annotations

import msgspec

from ...engine.storage.store import Store
from ...engine.vocabulary import LEARN
from ..experiment.report_schemas import SinceChange
from ..experiment.sums import Tally, fresh


class Since:
    """What came of the decisions from one number on, up to a seq."""

    def __init__(self, place: int, seq: int = 0, tally: Tally | None = None, closed: int = 0) -> None:
        self.place = place
        self._seq = seq
        self._closed = closed  # up to which windows that began count, where rewards are learned at once
        self._tally = Tally(fresh(0)) if tally is None else tally

    def read(self, store: Store, key: int, until: int, closed: int | None = None) -> Since:
        """Return the same up to a later seq: what came meanwhile is read from the log. For a worker thread.

        The first time that is all since the first of the decisions. Where rewards are learned at once those count whose
        windows are `closed`, as they began up to a seq.
        """
        tally, after = self._tally.copied(), self._seq
        if not after:
            first = store.first_seq(key, self.place)
            after = first - 1 if first else until
        for kind, reward in store.since(key, self.place, after, until):
            if kind != LEARN:
                tally.decide(None, 1.0)
            elif closed is None:
                assert reward is not None
                tally.enter(None, reward)
        first, last = after, until
        if closed is not None:
            first = self._closed if self._seq else after
            last = max(first, closed)
            for settled in store.settled(key, first, last):
                if settled.number >= self.place:
                    tally.enter(None, settled.reward)
        for one in store.corrections(key, last):
            if one.seq > first and one.number >= self.place:
                tally.correct(None, one.was, one.reward)
        return Since(self.place, max(after, until), tally, last)

    def told(self) -> SinceChange:
        """Return what was counted."""
        decisions = int(self._tally.sums.decisions[0])
        return SinceChange(**msgspec.structs.asdict(self._tally.all), place=self.place, decisions=decisions)
