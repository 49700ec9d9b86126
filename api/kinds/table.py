"""All kinds of decisions: the one table, and the one place where a problem finds its kind."""

from __future__ import annotations

from ...engine.vocabulary import Problem
from .arms.kind import ARMS
from .kind import Kind
from .lists.kind import LISTS
from .queries.kind import QUERIES
from .streams.kind import STREAMS
from .vectors.kind import VECTORS

KINDS: tuple[Kind, ...] = (ARMS, LISTS, STREAMS, VECTORS, QUERIES)
_BY_CHOICE = {kind.choice: kind for kind in KINDS}


def kind_of(problem: Problem) -> Kind:
    """Return the kind of a problem's decisions."""
    return _BY_CHOICE[type(problem.choice)]
