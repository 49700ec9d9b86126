"""What a service is doing at the moment: its experiments with their rates, from one look to the next."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

from msgspec import UNSET

from ...engine.errors import OnearmError
from ..client.blocking.client import Client
from ..experiment.report_schemas import Report
from ..http.schemas import Listed

LOOKS = 64  # of which the mean reward is kept


class Row(NamedTuple):
    """An experiment at the moment."""

    experiment: str
    kind: str
    policy: str
    decisions: int
    decisions_per_second: float
    rewards_per_second: float
    open: int  # decisions whose rewards are waited for
    join_rate: float | None  # rewards a decision; None before the first
    reward_mean: float | None  # of all; None where there is none
    alarms: list[str]
    means: list[float]  # of the rewards that came between looks, the oldest first


class Overview:
    """Looks at a service again and again. The busiest experiments come first; of `most` reports are read."""

    def __init__(self, client: Client, most: int) -> None:
        self._client = client
        self._most = most
        self._before: dict[str, Listed] = {}
        self._totals: dict[str, tuple[int, float]] = {}  # how many rewards there were, and their sum
        self._means: dict[str, deque[float]] = {}
        self._changes: dict[str, int] = {}  # the last change of the world in the first look
        self._looked: float | None = None
        self.hidden = 0  # how many experiments are not among the rows
        self.experiments = 0

    def look(self) -> list[Row]:
        """Return what is going on: rates are those since the look before, and 0 in the first one."""
        listed = [one for one in self._client.experiments() if not one.archived]
        now = time.monotonic()
        seconds = 0.0 if self._looked is None else now - self._looked
        rates = {one.experiment_id: self._rates(one, seconds) for one in listed}
        listed.sort(key=lambda one: (-sum(rates[one.experiment_id]), -one.decisions, one.experiment_id))
        rows = [self._row(one, *rates[one.experiment_id]) for one in listed[: self._most]]
        self.experiments, self.hidden = len(listed), max(0, len(listed) - self._most)
        self._before = {one.experiment_id: one for one in listed}
        self._looked = now
        return sorted(rows, key=lambda row: not row.alarms)

    def _rates(self, one: Listed, seconds: float) -> tuple[float, float]:
        before = self._before.get(one.experiment_id)
        if before is None or seconds <= 0.0:
            return 0.0, 0.0
        return (one.decisions - before.decisions) / seconds, (one.rewards - before.rewards) / seconds

    def _row(self, one: Listed, decided: float, rewarded: float) -> Row:
        report = self._report(one)
        return Row(
            one.experiment_id,
            one.kind,
            one.policy,
            one.decisions,
            decided,
            rewarded,
            one.pending if report is None or report.open is UNSET else report.open,
            one.rewards / one.decisions if one.decisions else None,
            None if report is None else report.reward_mean,
            [*_alarms(one), *self._changed(one.experiment_id, report)],
            self._curve(one.experiment_id, report),
        )

    def _report(self, one: Listed) -> Report | None:
        """Return the results; None where there are none to be told, or not now."""
        if one.recovering is True or one.kind == "arm_stream":
            return None
        try:
            return self._client.experiment(one.experiment_id).report()
        except OnearmError:
            return None

    def _changed(self, name: str, report: Report | None) -> list[str]:
        """Say that the world has changed since the first look, where the policy noticed."""
        changes = [] if report is None or report.changes is UNSET else report.changes
        known = self._changes.setdefault(name, changes[-1].number if changes else 0)
        if not changes or changes[-1].number <= known or changes[-1].cause != "found":
            return []
        return [f"the world changed, as was noticed at decision {changes[-1].noticed}"]

    def _curve(self, name: str, report: Report | None) -> list[float]:
        """Return the means of what came between looks."""
        means = self._means.setdefault(name, deque(maxlen=LOOKS))
        if report is not None:
            n, total = report.rewards, report.rewards * (report.reward_mean or 0.0)
            before = self._totals.get(name)
            if before is not None and n > before[0]:
                means.append((total - before[1]) / (n - before[0]))
            self._totals[name] = n, total
        return list(means)


def _alarms(one: Listed) -> list[str]:
    """Return what somebody should know, in the service's words."""
    if one.recovering is True:
        return ["reads its log"]
    return [] if one.alarms is UNSET else one.alarms


def totals(rows: list[Row]) -> tuple[float, float]:
    """Return the decisions and rewards a second of all."""
    return sum(row.decisions_per_second for row in rows), sum(row.rewards_per_second for row in rows)


def as_json(url: str, rows: list[Row], hidden: int) -> dict[str, Any]:
    """Return an overview as JSON."""
    told = [{name: value for name, value in row._asdict().items() if name != "means"} for row in rows]
    decided, rewarded = totals(rows)
    return {
        "url": url,
        "decisions_per_second": decided,
        "rewards_per_second": rewarded,
        "experiments": told,
        "hidden": hidden,
    }
