"""What is read from a file: a log."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..actions import possible_rewards
from ..choices import CHOICES, Choice, Queries, Vectors
from ..columns import concat, decided_at, empty, joined, rewarded, take
from ..contexts import actions_in, concat_contexts, empty_contexts, finite_contexts
from ..errors import InvalidInput, OnearmError
from ..limits import Limits, limits_of
from ..problem import check_problem, check_range
from ..vocabulary import LEARN, Array, Columns, Problem
from .bad_lines import BadLines
from .corrections import NONE, Corrected, Correction, amended

FORMAT = 1  # of our own exports
JOINED = 2  # of those in the joined form: joined_form.py
ADVICE = "name its format if it has another; docs/logs.md says what each one holds"


@dataclass
class Log:
    """A log that was read from a file."""

    problem: Problem
    events: Columns | None = None  # in the order of the log, where it is a log of events
    spec: dict[str, Any] | None = None  # of the experiment, as the export's header holds it
    bad_lines: BadLines = field(default_factory=BadLines)
    rows: Columns | None = None  # where it is a table with one row a decision
    seqs: Array = field(default_factory=lambda: np.zeros(0, np.int64))  # int64[n], of the events: where each stands
    changes: list[tuple[int, str]] = field(default_factory=list)  # the seq of each, and JSON
    corrected: Corrected = NONE  # lines are seqs
    begins: int = 0  # the seq of the base behind which an export begins, 0 without one

    @cached_property
    def table(self) -> Columns:
        """One row per rewarded decision, kind DECIDE with its reward, in their order: for replay."""
        if self.rows is not None:
            return self.rows
        assert self.events is not None
        return rewarded(amended(self.events, self.corrected))

    @property
    def corrections(self) -> list[Correction]:
        """What is corrected, in order, each with what was learned before."""
        assert self.events is not None
        learned = self.events.kind == LEARN
        number, reward = self.events.number[learned], self.events.reward[learned]
        order = np.argsort(number, kind="stable")
        found: list[Correction] = []
        known: dict[int, float | None] = {}
        for told, now, seq in zip(*(column.tolist() for column in self.corrected), strict=True):
            row = int(order[np.searchsorted(number, told, sorter=order)])
            was = known.get(told, float(reward[row]))
            known[told] = None if math.isnan(now) else now
            found.append(Correction(seq, told, int(self.seqs[learned][row]), None, was, known[told]))
        return found


@contextmanager
def reading(path: Path, form: str, *errors: type[Exception]) -> Iterator[None]:
    """Say in our words that a file cannot be read, or that it is not of this format."""
    try:
        if path.is_dir():
            raise InvalidInput("unreadable_file", f"{path} is a folder: name a file")
        if str(path) != "-" and path.stat().st_size == 0:  # "-" is standard input
            raise InvalidInput("empty_file", f"{path} is empty: {ADVICE}")
        yield
    except OSError as error:
        if error.strerror is None:  # Arrow's own
            raise InvalidInput("wrong_format", f"{path} is not {form} ({_line(error)}): {ADVICE}") from error
        raise InvalidInput(
            "unreadable_file", f"{path} cannot be read ({error.strerror}): name a file that you may read"
        ) from error
    except errors as error:
        raise InvalidInput("wrong_format", f"{path} is not {form} ({_line(error)}): {ADVICE}") from error


def header_of(problem: Problem, spec: dict[str, Any], begins: int = 0) -> dict[str, Any]:
    """Return the header of an export; `begins` is the seq of the base behind which it begins, 0 without one."""
    shape: dict[str, Any] = {
        "n_arms": problem.n_arms,
        "context_shape": list(problem.context_shape),
        "horizon": problem.horizon,
    }
    if problem.nonzeros is not None:
        shape["nonzeros"] = problem.nonzeros
    if any("tag" in group for group in spec.get("constraints", {}).get("groups", [])):
        shape["tags"] = problem.tags
    shape |= problem.choice.header
    base = {"begins": begins} if begins else {}
    return {"onearm": FORMAT, "problem": shape, "experiment": spec, **base}


def begins_of(text: bytes) -> int:
    """Return the seq of the base behind which an export begins, by its header; 0 without one."""
    begins = json.loads(text).get("begins", 0)
    return begins if isinstance(begins, int) else 0


def read_header(path: Path, text: bytes) -> tuple[Problem, dict[str, Any]]:
    """Return the problem and the experiment's spec of an export's header, a JSON object."""
    try:
        header = json.loads(text)
        if (form := header["onearm"]) not in (FORMAT, JOINED):
            raise InvalidInput(
                "unknown_format",
                f"{path} is an export of the format {form!r}: this version of onearm reads {FORMAT} and {JOINED}",
            )
        shape = header["problem"]
        context_shape = tuple(map(int, shape["context_shape"]))
        words: dict[str, Any] = {"nonzeros": shape.get("nonzeros")}
        for choice in CHOICES:
            words |= choice.words_of(shape)
        spec = dict(header["experiment"])
        words["reward_range"] = _declared_range(spec)
        words["tags"] = tuple(map(tuple, shape.get("tags", ())))
        problem = Problem(int(shape["n_arms"]), context_shape, shape.get("horizon"), **words)
        check_problem(problem)
        return problem, spec
    except OnearmError:
        raise
    except KeyError as error:
        raise InvalidInput("bad_header", f"the header of {path} has no {error}: export it again") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidInput("bad_header", f"the header of {path} is damaged ({error}): export it again") from error


def _declared_range(spec: dict[str, Any]) -> tuple[float, float] | None:
    """Return the range of rewards that a spec declares; None where it declares none."""
    limits = spec.get("reward", {}).get("range")
    return None if limits is None else check_range("reward.range", limits)


def gathered(contexts: Sequence[Any], masks: Sequence[Array | None], problem: Problem) -> tuple[Any, Array]:
    """Return contexts of one row each as one, and their masks: bool[n, k], or bool[1, k] where all can be chosen.

    A mask is bool[k] of the actions that its context has, None for all of them. Of no contexts this makes an empty one.
    """
    if not contexts:
        return empty_contexts(1, problem), np.ones((1, problem.n_choices), np.bool_)
    sizes = [actions_in(context, problem) for context in contexts]
    k = max(sizes)
    if min(sizes) == k and all(mask is None for mask in masks):
        return concat_contexts(contexts), np.ones((1, k), np.bool_)
    available = np.zeros((len(sizes), k), np.bool_)
    for row, (size, mask) in enumerate(zip(sizes, masks, strict=True)):
        available[row, :size] = True if mask is None else mask
    return concat_contexts(contexts), available


def log_of_events(
    problem: Problem,
    spec: dict[str, Any],
    pages: list[tuple[Columns, Array]],
    changes: list[tuple[int, str]],
    corrected: list[Corrected],
    bad_lines: BadLines,
    header_lines: int,
    begins: int,
) -> Log:
    """Return the log of pages of events with their line numbers, without the bad ones among them.

    `changes` are the lines that are neither decisions nor rewards, each with its number. Before the line of the first
    event are `header_lines`; `begins` is as in its header.
    """
    events, lines = _one(pages, problem)
    decides, learns = events.kind != LEARN, events.kind == LEARN
    kept = good_decisions(events, lines, problem, bad_lines, decides)
    kept &= good_rewards(events.reward, events.detail, lines, problem, bad_lines, learns)
    source = decided_at(events)
    bad_lines.drop("repeated_decision", decides & (source != np.arange(len(lines))), lines, kept)
    lost = learns & ((source < 0) | ~kept[source])
    bad_lines.drop("unknown_decision", lost, lines, kept)
    said = Corrected(*map(np.concatenate, zip(*corrected, strict=True))) if corrected else NONE
    bad = ~np.isin(said.number, events.number[learns & kept])
    bad_lines.add("unknown_decision", *said.line[bad].tolist())
    said = Corrected(*(column[~bad] for column in said))
    said = said._replace(line=said.line - header_lines)
    seqs = lines[kept] - header_lines
    placed = [(line - header_lines, detail) for line, detail in changes]
    events = joined(events if kept.all() else take(events, kept))
    return Log(problem, events, spec, bad_lines, seqs=seqs, changes=placed, corrected=said, begins=begins)


def _one(pages: list[tuple[Columns, Array]], problem: Problem) -> tuple[Columns, Array]:
    if not pages:
        return empty(0, problem), np.zeros(0, np.int64)
    return concat([page for page, _ in pages]), np.concatenate([lines for _, lines in pages])


def good_decisions(
    columns: Columns, lines: Array, problem: Problem, bad_lines: BadLines, rows: Array | None = None
) -> Array:
    """Return bool[n], whether each event can be a decision of this problem; others than `rows`, bool[n], can."""
    decides = np.ones(len(lines), np.bool_) if rows is None else rows
    kept = _sifted(columns, lines, decides, problem.choice, bad_lines)
    match problem.choice:
        case Vectors():
            _drop_outside(limits_of(problem), columns.action, decides, lines, kept, bad_lines)
        case Queries() if problem.horizon is not None:
            bad_lines.drop("after_budget", decides & (columns.number >= problem.horizon), lines, kept)
    return kept


def good_rewards(
    reward: Array, detail: Array, lines: Array, problem: Problem, bad_lines: BadLines, rows: Array | None = None
) -> Array:
    """Return bool[n], whether each event can be a reward in this problem; others than `rows`, bool[n], can."""
    learns = np.ones(len(lines), np.bool_) if rows is None else rows
    kept = np.ones(len(lines), np.bool_)
    bad_lines.drop("bad_reward", learns & ~possible_rewards(reward, problem), lines, kept)
    bad_lines.drop("bad_detail", learns & ~problem.choice.are_details(detail), lines, kept)
    return kept


def say_what_came_next(told: Array, closed: Array, lines: Array, bad_lines: BadLines) -> Array:
    """Return which rewards of a log of states are whole, bool[n]: they tell the next state, or close a window."""
    whole: Array = told | closed
    bad_lines.add("missing_next_state", *lines[~whole].tolist())
    return whole


def no_good_line(path: Path, bad_lines: BadLines) -> InvalidInput:
    """Return what is wrong with a file that holds not one good line."""
    advice = ADVICE
    if not bad_lines.count:
        return InvalidInput("wrong_format", f"{path} holds not one row: {advice}")
    if bad_lines.count["continuous_action"]:
        advice = (
            "its actions are numbers of a range (continuous actions, CATS), and onearm evaluates choices among a few: "
            "log the bin that was drawn as the action, and its probability"
        )
    elif bad_lines.count["other_problem"]:
        advice = "lines with several slots are evaluated by methods for lists, as --method cascade"
    else:
        advice = bad_lines.reasons.get(bad_lines.count.most_common(1)[0][0], advice)
    return InvalidInput("wrong_format", f"{path} holds not one good line ({dict(bad_lines.count)}): {advice}")


def _sifted(columns: Columns, lines: Array, rows: Array, choice: Choice, bad_lines: BadLines) -> Array:
    """Return bool[n], whether each row is good as far as its decision goes, for `rows`, bool[n], only."""
    kept = np.ones(len(lines), np.bool_)
    action, propensity = columns.action, columns.propensity
    bad_lines.drop("bad_action", rows & ~choice.are_actions(action, columns.available.shape[1]), lines, kept)
    bad_lines.drop("bad_propensity", rows & ((propensity <= 0) | (propensity > 1)), lines, kept)
    bad_lines.drop(
        "bad_context", rows & ~(finite_contexts(columns.context) & choice.are_contexts(columns.context)), lines, kept
    )
    if not columns.available.all():
        mask = np.minimum(np.arange(len(lines)), len(columns.available) - 1)  # one may hold for all
        looked_up = np.flatnonzero(rows & kept)
        choosable = np.ones(len(lines), np.bool_)
        choosable[looked_up] = choice.are_available(action[looked_up], columns.available[mask[looked_up]])
        bad_lines.drop("unavailable_action", ~choosable, lines, kept)
    return kept


def _drop_outside(limits: Limits, actions: Array, rows: Array, lines: Array, kept: Array, bad_lines: BadLines) -> None:
    """Count the `rows` with a point outside, and take them out of `kept`; say of the first how far it lies outside."""
    points = actions.reshape(len(lines), limits.points, limits.dimension)
    within = limits.within(points.reshape(-1, limits.dimension)).reshape(points.shape[:2])
    wrong = rows & kept & ~within.all(axis=1)
    for row in np.flatnonzero(wrong)[:1]:
        why = limits.why_outside(points[row, within[row].argmin()])
        bad_lines.reasons.setdefault("point_outside", f"{bad_lines.place} {lines[row]}: {why}")
    bad_lines.drop("point_outside", wrong, lines, kept)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
