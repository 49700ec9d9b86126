"""What a tuner proposes for one solve, and that solve as a block of code."""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from ...engine.errors import Conflict, InvalidInput
from .settings import Settings


class Proposal(NamedTuple):
    """What to try in the next solve."""

    token: int  # names it in `tell`
    value: Any  # of the knob
    arm: int  # its position among the values
    propensity: float  # probability with which it was chosen
    budget: float  # what it may cost before it is stopped; inf where there is no limit


class Proposer(Protocol):
    """What a trial wants of a tuner."""

    settings: Settings

    def ask(self, context: float | None) -> Proposal:
        """Propose a value for the next solve."""
        ...

    def tell(
        self, proposal: Proposal, cost: float, converged: bool, /, *, fallback: float | None, cap: float | None
    ) -> None:
        """Learn what a proposal cost."""

    def withdraw(self, proposal: Proposal, /) -> None:
        """Take a proposal back; raise `Conflict` where its cost is known."""


class Trial:
    """One solve: take `value`, and set `iterations`, and `converged` where it did not.

    Where the cost is seconds, the time of the block is taken if `seconds` is not set. If the block raises, the proposal
    is withdrawn.
    """

    def __init__(self, tuner: Proposer, context: float | None) -> None:
        self._tuner = tuner
        self._context = context
        self._proposal: Proposal | None = None
        self.iterations: int | None = None
        self.seconds: float | None = None
        self.converged = True
        self.fallback: float | None = None  # what a safe value took in its place, where one did
        self.cap: float | None = None  # what it might have spent at the most, where it did not converge

    def __repr__(self) -> str:
        value = "not begun" if self._proposal is None else f"value={self._proposal.value!r}"
        return f"Trial({value}, iterations={self.iterations}, converged={self.converged})"

    @property
    def proposal(self) -> Proposal:
        """What was proposed."""
        if self._proposal is None:
            raise Conflict("not_proposed", "the trial has not begun: write `with tuner.trial() as trial:`")
        return self._proposal

    @property
    def value(self) -> Any:
        """The value to solve with."""
        return self.proposal.value

    @property
    def omega(self) -> float:
        """The value, where it is an omega."""
        if isinstance(self.value, str):
            raise InvalidInput("not_omega", f"the value is {self.value!r}, which is no number: take `value`")
        return float(self.value)

    @property
    def budget(self) -> float:
        """What the solve may cost; inf where there is no limit yet."""
        return self.proposal.budget

    def __enter__(self) -> Trial:
        if self._proposal is not None:
            raise Conflict(
                "trial_used", "this trial is of another solve: write `with tuner.trial() as trial:` for each"
            )
        self._proposal = self._tuner.ask(self._context)
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._started
        try:
            if kind is None:
                cost = self._cost(seconds)
                self._tuner.tell(self.proposal, cost, self.converged, fallback=self.fallback, cap=self.cap)
        finally:
            with suppress(Conflict):  # it was told
                self._tuner.withdraw(self.proposal)

    def _cost(self, seconds: float) -> float:
        if self._tuner.settings.cost == "seconds":
            done = self.iterations == 0
            return 0.0 if done else seconds if self.seconds is None else self.seconds
        if self.iterations is None:
            raise InvalidInput("no_iterations", "the trial does not know its cost: set its `iterations` in the block")
        return self.iterations
