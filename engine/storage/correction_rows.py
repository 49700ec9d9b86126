"""Corrections as a database holds them."""

from __future__ import annotations

from ..vocabulary import CORRECTED, LEARN
from . import schema
from .connections import Connections
from .corrections import Correction


class Corrections(Connections):
    """What a database knows of corrections."""

    def corrections(self, experiment: int, until: int = 2**63 - 1) -> list[Correction]:
        """Return the corrections up to a seq, in order. Costs 5 us each, from their index."""
        if self.revision < schema.CORRECTIONS:
            return []
        sql = (
            "SELECT its.seq, its.number, first.seq, first.action, first.reward, its.reward FROM event AS its "
            f"JOIN event AS first ON first.experiment = its.experiment AND first.number = its.number "
            f"AND first.kind = {LEARN} WHERE its.experiment = ? AND its.kind = {CORRECTED} AND its.seq <= ? "
            "ORDER BY its.seq"
        )
        found: list[Correction] = []
        known: dict[int, float | None] = {}
        for seq, number, learned, action, first, reward in self._read(sql, (experiment, until)):
            found.append(Correction(seq, number, learned, action, known.get(number, first), reward))
            known[number] = reward
        return found
