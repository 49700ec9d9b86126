"""Whether what clients of several nodes were told fits together, and fits the log: a checker that knows no onearm.

It reads what each client asked, when, and what it was answered, and the rows of the log as the database has them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

DECIDE, LEARN = 0, 1  # kinds of rows


class Told(NamedTuple):
    """An answer that a client got. Times are of one monotonic clock, in seconds."""

    client: int
    line: int  # the connection
    begun: float
    ended: float
    what: str  # decide, reward or report
    experiment: str
    decision: str | None  # its id
    said: float | None  # the reward
    answer: dict[str, Any]


class Row(NamedTuple):
    """A row of the log."""

    experiment: str
    seq: int
    kind: int
    number: int | None
    action: str | None
    decision: str | None
    reward: float | None
    detail: str | None


def faults(histories: Iterable[Told], log: Sequence[Row]) -> list[str]:
    """Return what is wrong; nothing where all is well."""
    told = list(histories)
    return [*_log(log), *_decisions(told, log), *_rewards(told, log), *_reports(told, log)]


def _log(log: Sequence[Row]) -> list[str]:
    """Each log has all its numbers once, each decision one number, and each decision at most one reward."""
    found = []
    by_experiment: dict[str, list[Row]] = defaultdict(list)
    for row in log:
        by_experiment[row.experiment].append(row)
    for name, rows in by_experiment.items():
        if sorted(row.seq for row in rows) != list(range(1, len(rows) + 1)):
            found.append(f"the log of {name} has gaps, or a number twice")
        for kind, what in ((DECIDE, "decided"), (LEARN, "learned")):
            twice = [one for one, n in Counter(row.number for row in rows if row.kind == kind).items() if n > 1]
            found += [f"decision {number} of {name} was {what} twice" for number in twice]
        ids = Counter(row.decision for row in rows if row.decision is not None)
        found += [f"the id {one!r} of {name} has {n} decisions" for one, n in ids.items() if n > 1]
        found += [f"{name}: a window closed at seq {row.seq}" for row in rows if row.detail and "closed" in row.detail]
    return found


def _decisions(told: Sequence[Told], log: Sequence[Row]) -> list[str]:
    """Each id has one answer, whoever asks and how often, and that is what the log has."""
    found = []
    actions = {(row.experiment, row.decision): row.action for row in log if row.kind == DECIDE}
    answers: dict[tuple[str, str | None], dict[str, Any]] = {}
    for one in told:
        if one.what != "decide":
            continue
        key = one.experiment, one.decision
        if (first := answers.setdefault(key, one.answer)) != one.answer:
            found.append(f"{key} was answered {first} and {one.answer}")
        if key not in actions:
            found.append(f"{key} was answered, and is not in the log")
        elif actions[key] != one.answer["action_id"]:
            found.append(f"{key} was answered {one.answer['action_id']}, and the log has {actions[key]}")
    return found


def _rewards(told: Sequence[Told], log: Sequence[Row]) -> list[str]:
    """What was acknowledged is in the log, with the value that was sent; what was not sent is not."""
    found = []
    numbers = {(row.experiment, row.decision): row.number for row in log if row.kind == DECIDE}
    learned = {(row.experiment, row.number): row.reward for row in log if row.kind == LEARN}
    for one in told:
        if one.what != "reward":
            continue
        key = one.experiment, numbers.get((one.experiment, one.decision))
        if key not in learned:
            found.append(f"the reward of {one.decision} of {one.experiment} was acknowledged, and is not in the log")
        elif learned[key] != one.said:
            found.append(f"the reward of {one.decision} of {one.experiment} was {one.said}, and is {learned[key]}")
    return found


def _reports(told: Sequence[Told], log: Sequence[Row]) -> list[str]:
    """Reports go never backwards on one connection, know all that was acknowledged before, and nothing that is not."""
    found = []
    last: dict[tuple[int, int, str], int] = {}
    most = Counter(row.experiment for row in log)
    first: dict[tuple[str, str, str | None], float] = {}  # when something was acknowledged
    for one in told:
        if one.what != "report":
            key = one.what, one.experiment, one.decision
            first[key] = min(first.get(key, one.ended), one.ended)
    acknowledged: dict[str, list[float]] = defaultdict(list)
    for (_, experiment, _), at in first.items():
        acknowledged[experiment].append(at)
    for times in acknowledged.values():
        times.sort()
    for one in sorted((one for one in told if one.what == "report"), key=lambda one: one.ended):
        seq = one.answer["seq"]
        at = one.client, one.line, one.experiment
        if seq < last.get(at, 0):
            found.append(f"a report of {one.experiment} went from {last[at]} back to {seq} events")
        last[at] = seq
        if seq > most[one.experiment]:
            found.append(f"a report of {one.experiment} has {seq} events, and the log {most[one.experiment]}")
        known = bisect_right(acknowledged[one.experiment], one.begun)
        if seq < known:
            found.append(f"a report of {one.experiment} has {seq} events, when {known} were acknowledged before")
    return found
