"""Vectors from Python: decide a point, learn the gradient of the loss there, and read the certificate.

>>> import onearm
>>> from onearm.engine.domain import ball
>>> engine = onearm.open(domain=ball(2))
>>> decision = engine.decide()
>>> decision.point.tolist()
[0.0, 0.0]
>>> engine.learn(decision, loss=1.0, gradient=[-3.0, 4.0])
>>> engine.decide().point.round(3).tolist()
[0.6, -0.8]
>>> engine.certificate.bound > 5.0  # the best point, (0.6, -0.8), would have lost 5 less by the linear loss
True
>>> engine.constants["gradient_max"]  # how long gradients are: not given, and the longest so far
Constant(value=5.0, source='estimate')
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ....engine.errors import InvalidInput
from ....engine.problem import check_context
from ....engine.storage.records import Event
from ....engine.vocabulary import Array, Certificate
from ...experiment.intake import reads_hint
from ...experiment.report_schemas import Report
from ...experiment.spec import Spec
from ..decided import Decided
from ..engine import PolicyEngine
from ..kind import Request
from ..pending import REMEMBERED
from .feedback import FeedbackBody, feedback_on, forecast
from .http import AVAILABLE
from .kind import VECTORS
from .report import VectorSums, tally

if TYPE_CHECKING:
    from ...durable.journal import Journal


class VectorDecision(Decided, frozen=True, eq=False, gc=False):
    """A decision as a person wants it: the point, its propensity (1 where it is certain), and the decision's number."""

    number: int
    point: Array  # float64[d], read-only; float64[2, d] where two points are asked for
    propensity: float

    @property
    def chosen(self) -> Array:
        """The numbers of the point, float64[d], or of both, float64[2 d]."""
        return self.point.reshape(-1)

    @property
    def logged(self) -> None:
        """Nothing: the log has the numbers of the point."""


class VectorEngine(PolicyEngine[VectorDecision]):
    """One policy at work on vectors in this process; in memory it is for one thread. `onearm.open` makes it."""

    def __init__(self, spec: Spec, remember: int = REMEMBERED, journal: Journal | None = None) -> None:
        super().__init__(spec, VECTORS, VectorDecision, remember, journal)
        self._hinted = reads_hint(self.spec.policy)
        self._tally = tally(spec, spec.problem)

    def _sums(self) -> VectorSums:
        """Return what points revealed."""
        return self._tally.sums

    def decide(self, context: Any = None, *, hint: Any = None) -> VectorDecision:
        """Decide a point.

        `hint` float64[d] is a forecast of the loss's gradient, for policies with the param hint="context"; where it is
        left out nothing is forecast. `context` float64[n], where the problem has one and the policy reads no hint.
        Raises `OnearmError` where the policy's point is not in the domain; the decision is not made then.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        problem = self.spec.problem
        if self._hinted:
            if context is not None:
                raise InvalidInput(
                    "bad_context", "a context is given, but the policy reads a forecast: give it as hint"
                )
            seen = forecast(problem, hint)
        elif hint is not None:
            raise InvalidInput("unexpected_hint", 'a hint is given, but the policy reads none: give it hint="context"')
        else:
            seen = check_context(problem, context)
        instance, (action, propensity) = self._decide(Request(seen, AVAILABLE))
        seen_with: dict[str, Any] = {"_context": seen, "_available": AVAILABLE, "_time": instance.time}
        decision = self._made_of(instance.t, action.copy(), float(propensity), seen_with)
        self._pending.hold(decision)
        return decision

    def _made_of(self, number: int, action: Array, propensity: float, carried: dict[str, Any]) -> VectorDecision:
        """Return a decision; `action` float64[d] becomes its own."""
        point = action if self.problem.feedback != "two_rewards" else action.reshape(2, -1)
        point.flags.writeable = False
        return VectorDecision(number, point, propensity, **carried | {"_engine": self._pending.engine})

    def _remade(self, event: Event) -> VectorDecision:
        assert event.number is not None, "this is a decision"
        propensity = math.nan if event.propensity is None else event.propensity
        return self._made_of(event.number, VECTORS.action(self, event), propensity, self._carried(event))

    def learn(
        self,
        decision: VectorDecision | int,
        *,
        reward: Any = None,
        loss: Any = None,
        gradient: Any = None,
        losses: Any = None,
        example: Any = None,
    ) -> None:
        """Learn what a decision (or that of a number) revealed. Each takes one feedback.

        What the problem's feedback is: `gradient` float64[d] of the loss at the point, `losses` float64[d] of each
        coordinate, `example` (a, b). Beside it, or alone where the feedback is "reward", the value: the `loss`, or the
        `reward`, minus that; of two points two numbers. Raises `InvalidInput` where something is missing or too much.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        made = self._pending.find(decision, self.number)
        action = made.chosen.copy()
        feedback = feedback_on(self.spec.problem, action, FeedbackBody(reward, loss, gradient, losses, example))
        self._learn((made, feedback))
        if self._journal is None:
            self._tally.learn(action, feedback)

    @property
    def certificate(self) -> Certificate:
        """What the policy proves of what it learned: its regret against any fixed point is at most `bound`.

        `variation` is the sum of |gradient - hint|^2. NaN where the policy proves nothing. Where `spec.policy.supposes`
        says something of the losses, the bound is of losses that are so.
        """
        return self.proof()

    def report(self) -> Report:
        """Return what the decisions came to so far: as GET .../report of the service, but for segments."""
        tally = self._tally if self._journal is None else self._journal.tally
        seq = self.number + tally.all.rewards
        return tally.report(self.spec, seq, self.number, self.certificate)
