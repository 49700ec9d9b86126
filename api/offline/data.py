"""What was found on a log, as JSON."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from ...engine.estimate import Diagnostics, EProcess
from ...engine.storage.formats.slots import Slots
from ...engine.vocabulary import Change
from ..experiment.worlds import as_found
from .evaluation import Estimate, Evaluation
from .options import Options


def as_data(found: Evaluation) -> dict[str, Any]:
    """Return everything, to be printed as JSON."""
    data: dict[str, Any] = {
        "verdict": verdict_of(found.refuted),
        "events": found.events,
        "logged_mean": float(np.mean(found.log.reward)),
        **found.rows.bad_lines.to_dict(),
        "notes": found.rows.notes,
        "unused_columns": found.rows.unused,
        "level": found.options.level,
        "estimates": [each._asdict() for each in found.estimates],
        "diagnostics": {
            each.label: None if of is None else _diagnosis(of)
            for each, of in zip(found.candidates, found.diagnostics, strict=True)
        },
        "ranking": [each._asdict() for each in found.ranking],
    }
    if found.options.baseline is not None:
        data["differences"] = [each._asdict() for each in found.differences]
    if found.clusters is not None:
        data["units"] = found.clusters._asdict()
    if found.segments:
        data["segments"] = [each._asdict() for each in found.segments]
    if by_label := looking(found):
        data["changes"] = {label: msgspec.to_builtins(as_found(changes)) for label, changes in by_label.items()}
    return data


def verdict_of(refuted: float | None) -> str | None:
    """Return what stands above everything where propensities cannot be true, and have this p-value.

    >>> verdict_of(1.2e-15)
    'NO: these propensities cannot be true (p = 1.2e-15): no value below is to be trusted'
    """
    if refuted is None:
        return None
    return f"NO: these propensities cannot be true (p = {refuted:.2g}): no value below is to be trusted"


def looking(found: Evaluation) -> dict[str, list[Change]]:
    """Return what each candidate that looks for changes of the world found, by its label."""
    pairs = zip(found.candidates, found.changes, strict=True)
    return {each.label: changes for each, changes in pairs if each.looks_for_changes}


def _diagnosis(of: Diagnostics) -> dict[str, Any]:
    """Return diagnostics as JSON; of an e-process its largest value and when it raised the alarm."""
    data = of._asdict() | {"tail": of.tail._asdict(), "weights": _bets(of.weights)}
    data["arms"] = None if of.arms is None else _bets(of.arms)
    data["law"] = None if of.law is None else _bets(of.law)
    if of.actions is not None:
        data["actions"] = {
            name: column.tolist() if isinstance(column, np.ndarray) else column
            for name, column in of.actions._asdict().items()
        } | {"likeliest": of.actions.likeliest._asdict()}
    return data


def _bets(process: EProcess) -> dict[str, Any]:
    largest = float(process.log_e.max(initial=0.0))
    return {"e_value_max": math.exp(min(largest, 700.0)), "alarm_at": process.alarm_at}


def list_data(estimates: list[Estimate], slots: Slots, options: Options) -> dict[str, Any]:
    """Return what was found on a log of lists, to be printed as JSON."""
    return {
        "events": len(slots.length),
        **slots.bad_lines.to_dict(),
        "notes": slots.notes,
        "level": options.level,
        "estimates": [each._asdict() for each in estimates],
        "diagnostics": {},
    }
