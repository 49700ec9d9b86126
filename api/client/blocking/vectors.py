"""An experiment that decides vectors: the methods of the engine that `onearm.open` returns for a domain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from msgspec import UNSET

from ....engine.vocabulary import Certificate
from ...kinds.vectors.bodies import VectorDecision
from ..bodies import given
from ..decided import VectorChoice
from .deciding import Deciding, asking, nothing
from .experiment import name_of


class Vectors(Deciding):
    """Decisions that are points, and what they reveal."""

    def decide(
        self, context: Any = None, *, hint: Any = None, unit_id: str | None = None, decision_id: str | None = None
    ) -> VectorChoice[None]:
        """Decide a point; as the engine's `decide`. `decision_id` is an id of yours, and else a new one."""
        _, body = asking(decision_id, context=context, hint=hint, unit_id=unit_id)
        made = self._decided(VectorDecision, body)
        point = np.array(made.points if made.point is UNSET else made.point)
        point.flags.writeable = False
        propensity = math.nan if made.propensity is None else made.propensity
        return VectorChoice(made.decision_id, point, propensity, made, self.learn, nothing)

    def learn(
        self,
        decision: VectorChoice[Any] | str,
        *,
        reward: Any = None,
        loss: Any = None,
        gradient: Any = None,
        losses: Any = None,
        example: Any = None,
    ) -> None:
        """Tell what a decision revealed; as the engine's `learn`. An example is (a, b)."""
        pair = None if example is None else {"a": example[0], "b": example[1]}
        several = loss is not None and np.ndim(loss) > 0
        detail = given(gradient=gradient, losses=losses, example=pair, **{"values" if several else "value": loss})
        told = given(**{"values" if reward is not None and np.ndim(reward) > 0 else "value": reward})
        self._rewarded(name_of(decision), told | ({"detail": detail} if detail else {}))

    @property
    def certificate(self) -> Certificate:
        """What the policy proves of its regret; as the engine's. NaN where it proves nothing."""
        found = self.diagnostics()
        return Certificate(*(math.nan if one in (None, UNSET) else one for one in (found.certificate, found.variation)))
