"""What was found on a log, as JSON and as tables for a person."""

from __future__ import annotations

import math
from typing import Any

import click
import msgspec
import numpy as np

from ...engine.estimate import Diagnostics, EProcess
from ...engine.storage.formats.slots import Slots
from ...engine.storage.log import BadLines
from ...engine.vocabulary import Change
from ..console import print_table
from ..experiment.worlds import as_found, in_words
from ..offline.evaluation import Estimate, Evaluation, Standing
from ..offline.options import Options
from ..rate import rate


def as_data(found: Evaluation) -> dict[str, Any]:
    """Return everything, to be printed as JSON."""
    bad = found.rows.bad_lines
    data: dict[str, Any] = {
        "events": found.events,
        "bad_lines": dict(bad.count),
        "bad_line_numbers": bad.lines,
        "bad_line_reasons": bad.reasons,
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
    if looking := _looking(found):
        data["changes"] = {label: msgspec.to_builtins(as_found(changes)) for label, changes in looking.items()}
    return data


def _looking(found: Evaluation) -> dict[str, list[Change]]:
    """Return what each candidate that looks for changes of the world found, by its label."""
    pairs = zip(found.candidates, found.changes, strict=True)
    return {each.label: changes for each, changes in pairs if each.policy is not None and each.policy.found is not None}


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
        "bad_lines": dict(slots.bad_lines.count),
        "bad_line_numbers": slots.bad_lines.lines,
        "notes": slots.notes,
        "level": options.level,
        "estimates": [each._asdict() for each in estimates],
        "diagnostics": {},
    }


def tell_estimates(estimates: list[Estimate], options: Options, title: str, speed: float) -> None:
    """Print estimates as a table, and notes on standard error."""
    one = len(options.intervals) == 1
    heads = ["target", "method", *([] if one else ["interval"]), "value", "low", "high", "effective\nsample size"]
    body = [
        [
            each.target,
            each.method,
            *([] if one else [each.interval]),
            each.value,
            each.low,
            each.high,
            each.effective_sample_size,
        ]
        for each in estimates
    ]
    kind = f"{options.intervals[0]} " if one else ""
    note = f"{100 * options.level:g} % {kind}intervals; {rate(speed)} rows/s, reading included"
    print_table(title, heads, body, note, spare=() if one else heads[-1:])
    for text in dict.fromkeys(f"{each.method}, {each.interval}: {each.note}" for each in estimates if each.note):
        click.echo(text, err=True)


def tell(found: Evaluation, title: str, speed: float) -> None:
    """Print what was found as tables, and what to know of it on standard error."""
    tell_estimates(found.estimates, found.options, title, speed)
    level = f"{100 * found.options.level:g} %"
    if len(found.ranking) > 1:
        standing = [[each.target, each.value, each.low, each.high, _places(each)] for each in found.ranking]
        words = f"by {found.ranking[0].method}; {level} intervals that hold for all at once"
        print_table("ranking", ["target", "value", "low", "high", "place"], standing, words)
    if found.differences:
        gaps = [
            [each.target, each.method, each.interval, each.value, each.low, each.high] for each in found.differences
        ]
        title = f"worth more than {found.differences[0].baseline} by"
        print_table(title, ["target", "method", "interval", "difference", "low", "high"], gaps, None)
    if found.segments:
        rows = [
            [each.segment, each.target, each.method, each.events, each.value, each.low, each.high]
            for each in found.segments
        ]
        print_table("by segment", ["segment", "target", "method", "events", "value", "low", "high"], rows, None)
    for label, changes in _looking(found).items():
        for line in map(in_words, changes):
            click.echo(f"{label}: {line}")
    for each, of in zip(found.candidates, found.diagnostics, strict=True):
        for warning in [] if of is None else of.warnings:
            click.echo(f"{each.label}: {warning}", err=True)
    for text in found.rows.notes:
        click.echo(text, err=True)
    tell_bad_lines(found.rows.bad_lines)


def _places(each: Standing) -> str:
    if each.rank_first == each.rank_last:
        return str(each.rank_first)
    return f"{each.rank_first} to {each.rank_last}"


def tell_bad_lines(bad: BadLines) -> None:
    """Name the lines of a log that could not be read, on standard error."""
    for word, count in bad.count.items():
        lines = ", ".join(map(str, bad.lines[word]))
        why = f"; {reason}" if (reason := bad.reasons.get(word)) else ""
        click.echo(f"bad lines, {word}: {count} (lines {lines}{', ...' if count > 20 else ''}){why}", err=True)
