"""What was found on a log, as tables for a person."""

from __future__ import annotations

import click

from ...engine.storage.log import BadLines
from ..console import print_table
from ..experiment.worlds import in_words
from ..offline.data import looking
from ..offline.evaluation import Estimate, Evaluation, Standing
from ..offline.options import Options
from ..rate import rate


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
    for label, changes in looking(found).items():
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
