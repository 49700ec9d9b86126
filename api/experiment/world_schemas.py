"""A change of the world, as it is told."""

from __future__ import annotations

from typing import Literal

import msgspec


class FoundChange(msgspec.Struct):
    """A change of the world: the new one is estimated to begin with the decision numbered `place`.

    `noticed` is the decision whose reward told, or the next one when a person said it; `model` learns since then.
    """

    number: int  # from 1
    place: int
    noticed: int
    model: int
    evidence: float | None  # how many times less likely what was paid is without a change; null where nobody asked
    fresh: int | Literal["all"]  # how many arms are learned anew; 0 where a model that is known leads again
    cause: Literal["found", "said", "taken_back"]  # by the policy; by a person, who said the same, or that it was none
