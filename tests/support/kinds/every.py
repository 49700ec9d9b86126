"""The table of kinds."""

from __future__ import annotations

from support.kinds import arms, moves, queries, vectors
from support.kinds.course import Kind

from onearm.engine.vocabulary import ActionKind

KINDS: dict[ActionKind, Kind] = {
    "arm": arms.KIND,
    "move": moves.KIND,
    "vector": vectors.KIND,
    "query": queries.KIND,
}
