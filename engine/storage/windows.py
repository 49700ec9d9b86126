"""Windows in SQL: rewards that came and are on record (OUTCOME events), and decisions whose windows closed.

A closing is a LEARN event without a `reward_id`, whose `detail` says why. That of an OUTCOME says whether it came late.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from ..vocabulary import LEARN, OUTCOME, Array
from . import schema
from .connections import Connections

CLOSED_BY_REWARD = '{"closed": "reward"}'
CLOSED_BY_DEFAULT = '{"closed": "default"}'
CLOSINGS = {"reward": CLOSED_BY_REWARD, "default": CLOSED_BY_DEFAULT}
LATE = '{"late": true}'
SAID = (*CLOSINGS.values(), LATE)


class Windowed(NamedTuple):
    """What windows came to in a part of a log."""

    defaults: int  # decisions whose windows closed with the default
    late: int  # rewards that came too late, and are on record


class Windows(Connections):
    """What a database knows of windows."""

    def windowed(self, experiment: int, after: int, until: int) -> Windowed:
        """Count what windows came to after one seq, up to another. Reads all events between."""
        sql = (
            "SELECT count(CASE WHEN kind = ? THEN 1 END), count(CASE WHEN kind = ? THEN 1 END) FROM event "
            f"WHERE experiment = ? AND seq > ? AND seq <= ? AND kind IN ({LEARN}, {OUTCOME}) AND detail IN (?, ?)"
        )
        rows = self._read(sql, (LEARN, OUTCOME, experiment, after, until, CLOSED_BY_DEFAULT, LATE))
        return Windowed(*rows[0])

    def last_closed(self, experiment: int) -> int:
        """Return the number of the last decision whose window closed with a reward or a default; -1 without one.

        Reads back from the end of the log to the last of them.
        """
        sql = (
            f"SELECT number FROM event WHERE experiment = ? AND kind = {LEARN} AND detail IN (?, ?) "
            "ORDER BY seq DESC LIMIT 1"
        )
        rows = self._read(sql, (experiment, *CLOSINGS.values()))
        number: int = rows[0][0] if rows else -1
        return number

    def outcome_seqs(self, experiment: int) -> Array:
        """Return the seqs of the OUTCOME events, int64[n], in order."""
        if self.revision < schema.OUTCOMES:
            return np.zeros(0, np.int64)
        sql = f"SELECT seq FROM event WHERE experiment = ? AND kind = {OUTCOME} ORDER BY seq"
        return np.array([seq for (seq,) in self._read(sql, (experiment,))], np.int64)

    def n_outcomes(self, experiment: int, until: int = 2**63 - 1) -> int:
        """Return how many OUTCOME events there are up to a seq, from their index."""
        if self.revision < schema.OUTCOMES:
            return 0
        sql = f"SELECT count(*) FROM event WHERE experiment = ? AND kind = {OUTCOME} AND seq <= ?"
        found: int = self._read(sql, (experiment, until))[0][0]
        return found


def says_of_windows(event: Any) -> sa.ColumnElement[bool]:
    """Say that the detail of an event, given by its columns, is what windows say of a reward."""
    rewarded: sa.ColumnElement[bool] = event.kind.in_((LEARN, OUTCOME)) & event.detail.in_(SAID)
    return rewarded
