"""How a tuner is doing, as numbers, as a dict and as a table for a person."""

from __future__ import annotations

import io
import math
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ...engine.vocabulary import Array
from ..experiment.unknown import or_null
from .arm_costs import ArmCosts
from .settings import Settings, Value


class ArmReport(NamedTuple):
    """One value of the knob."""

    value: Value
    rounds: int
    share: float  # of the rounds
    mean_cost: float | None  # of the rounds in which it was played, as learned
    estimated_cost: float | None  # a round, had it been played in all but the first: unbiased
    error: float | None  # standard error of that
    probability: float | None  # now


class Report(NamedTuple):
    """How a tuner is doing.

    `regret` estimates what the rounds cost more than the best value alone would have cost in them: the sum of the
    learned costs less the importance-weighted estimate of that value's (`ArmCosts`). The first round is left out,
    before which nothing was known. None where the policy does not draw, or does not say with which probability.

    With a context there are neither estimates nor a best value: each is played where it suits and hardly ever
    elsewhere, so what it would have cost there is unknown (estimates were off by up to 60 of their standard errors).
    """

    policy: str
    cost: str  # the unit: iterations or seconds
    rounds: int  # solves that were learned
    mean_cost: float | None  # of a round, as spent: what safe arms did in place of others included
    best: Value | None  # of the least estimated cost plus two errors; or mean cost, if none is estimated; no context
    regret: float | None
    regret_error: float | None  # standard error
    censored: int  # solves that did not converge
    capped: int  # solves of which less was learned than they cost
    fallbacks: int  # solves that the safe arm had to make again
    clipped: int  # contexts outside their range
    skipped: int  # solves that were done before they began
    arms: tuple[ArmReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as dicts and lists that can be written as JSON."""
        return self._asdict() | {"arms": [arm._asdict() for arm in self.arms]}

    def __rich__(self) -> Table:
        """Return a table of the arms, with the rest above and below it."""
        table = Table(title=self._title(), caption=self._caption(), box=SIMPLE_HEAD, title_justify="left")
        table.caption_justify = "left"
        estimated = any(arm.estimated_cost is not None for arm in self.arms)
        estimates = ("estimated", "+-") if estimated else ()
        for name in ("value", "rounds", "share", f"mean {self.cost}", *estimates, "probability now"):
            table.add_column(name, justify="right", no_wrap=True)
        for arm in self.arms:
            numbers = (arm.mean_cost, arm.estimated_cost, arm.error) if estimated else (arm.mean_cost,)
            now = "-" if arm.probability is None else f"{arm.probability:.1%}"
            table.add_row(_cell(arm.value), f"{arm.rounds:,}", f"{arm.share:.1%}", *map(_cell, numbers), now)
        return table

    def __str__(self) -> str:
        """Return the table as text."""
        console = Console(file=io.StringIO(), width=100, color_system=None)
        console.print(self)
        return console.file.getvalue()  # type: ignore[attr-defined]

    def _title(self) -> str:
        return f"{self.policy}: {self.rounds:,} rounds, {_cell(self.mean_cost)} {self.cost} each"

    def _caption(self) -> str:
        said = [] if self.best is None else [f"best single value: {_cell(self.best)}"]
        if self.rounds and self.best is None:
            said.append("each value was played where it suits its context, so their means do not compare")
        if self.regret is not None and self.regret_error is not None:
            more = "more" if self.regret < 0.0 else "less"
            error = float(f"{self.regret_error:.2g}")
            said.append(f"alone it would have cost {abs(self.regret):,.5g} +- {error:,.6g} {self.cost} {more}")
        counts = {
            "did not converge": self.censored,
            "learned at the cap": self.capped,
            "made again by the safe value": self.fallbacks,
            "contexts clipped": self.clipped,
            "done before they began": self.skipped,
        }
        return "; ".join(said + [f"{count:,} {what}" for what, count in counts.items() if count])


def report_of(settings: Settings, arm_costs: ArmCosts, law: Array) -> Report:
    """Return the report of what arms cost; `law` float64[k] are the probabilities now, NaN where unknown."""
    rounds, played = arm_costs.rounds, [arm for arm, count in enumerate(arm_costs.played) if count]
    arms = tuple(_arm_report(settings, arm_costs, law, arm) for arm in range(len(settings.values)))
    best = regret = error = None
    if played and settings.context is None:
        known = [arm for arm in played if math.isfinite(arm_costs.estimate(arm)[0])]
        best = min(known, key=lambda arm: _at_most(arm_costs, arm)) if known else min(played, key=arm_costs.mean)
        estimate, error = arm_costs.estimate(best)
        regret = arm_costs.compared_cost - estimate
    return Report(
        settings.policy.name,
        settings.cost,
        rounds,
        (arm_costs.spent + arm_costs.fallback) / rounds if rounds else None,
        None if best is None else settings.values[best],
        None if regret is None else or_null(regret),
        None if error is None else or_null(error),
        arm_costs.censored,
        arm_costs.capped,
        arm_costs.fallbacks,
        arm_costs.clipped,
        arm_costs.skipped,
        arms,
    )


def _at_most(arm_costs: ArmCosts, arm: int) -> float:
    """Return what an arm would hardly have cost more than."""
    estimate, error = arm_costs.estimate(arm)
    return estimate + 2.0 * error


def _arm_report(settings: Settings, arm_costs: ArmCosts, law: Array, arm: int) -> ArmReport:
    estimate, error = arm_costs.estimate(arm) if settings.context is None else (math.nan, math.nan)
    compared = max(arm_costs.compared, 1)
    return ArmReport(
        settings.values[arm],
        arm_costs.played[arm],
        arm_costs.played[arm] / max(arm_costs.rounds, 1),
        or_null(arm_costs.mean(arm)),
        or_null(estimate / compared),
        or_null(error / compared),
        or_null(law[arm]),
    )


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.5g}"
