"""All kinds of decisions as Gymnasium sees them."""

from __future__ import annotations

from ...engine.vocabulary import Problem
from ..kinds.arms.gym import ARMS_GYM
from ..kinds.gym import GymKind
from ..kinds.queries.gym import QUERIES_GYM
from ..kinds.streams.gym import STREAMS_GYM
from ..kinds.table import kind_of
from ..kinds.vectors.gym import VECTORS_GYM

_BY_NAME = {"arms": ARMS_GYM, "arm_stream": STREAMS_GYM, "vector": VECTORS_GYM, "queries": QUERIES_GYM}


def gym_of(problem: Problem) -> GymKind:
    """Return the kind of a problem's decisions."""
    return _BY_NAME[kind_of(problem).name]
