"""Contextual bandit logs of Vowpal Wabbit and Azure Personalizer: "dsjson", a JSON object a line.

    {"_label_cost": -1.0, "_label_probability": 0.85, "_labelIndex": 0,
     "c": {"user": {"age": 31}, "_multi": [{"i": {"id": "a"}}, {"i": {"id": "b"}}]}}

The reward is minus the cost. The action is `_labelIndex`, from 0, or `_label_Action`, from 1: a position in `_multi`.
The rest of `c` is the shared context; keys that begin with an underscore are no features. `pdrop`, the share
of events that were dropped, is ignored: every line counts once, also where shares differ. Upper and lower case of the
names of labels do not matter.

Left out, counted and named are lines that are no JSON object (checkpoints among them), rewards without a decision,
decisions that were never activated (`_skipLearn`), and those that are no contextual bandit's: with slots, of a
continuous action, without a label.

Source: the reader of vowpal_wabbit 9, parse_example_json.h, and the logs that come with it.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from onearm.engine.contexts import Contexts
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.problem import REWARD_MAX
from onearm.engine.storage.log import BadLines, Log, gathered, good_rows, reading
from onearm.engine.vocabulary import Array, Columns, Features, Problem

PAGE = 10_000  # lines
OTHERS = {"_outcomes": "other_problem", "_label_ca": "other_problem", "rewardvalue": "dangling_reward"}


class Line(NamedTuple):
    """A decision with its reward."""

    number: int  # of the line, from 1
    context: Contexts  # of one row
    action: int
    propensity: float
    reward: float


def read(path: Path, encoder: Encoder | None = None) -> Log:
    """Read a log. Bad lines are counted and named; the others are read.

    Contexts are named features as `encoder` makes them; rows of numbers where it has a dimension.
    """
    encoder = encoder or Encoder()
    bad_lines = BadLines()
    with reading(path, "a dsjson log"), path.open("rb") as file:
        lines = (_line(text, number, encoder, bad_lines) for number, text in enumerate(file, 1))
        pages: list[list[Line]] = []
        good = (line for line in lines if line is not None)
        while page := list(islice(good, PAGE)):
            pages.append(page)
    contexts = [line.context for page in pages for line in page]
    problem = _problem(contexts, encoder)
    rows = good_rows(path, [_columns(page, problem) for page in pages], bad_lines, problem.n_arms)
    return Log(problem, rows=rows, bad_lines=bad_lines)


def _problem(contexts: list[Contexts], encoder: Encoder) -> Problem:
    """Return the problem of the largest action set."""
    if encoder.dimension is not None:
        k = max((context.shape[1] for context in contexts), default=1)
        return Problem(k, (k, encoder.dimension))
    k = max((context.start.shape[1] - 2 for context in contexts), default=1)
    nonzeros = max((len(context.index) for context in contexts), default=1)
    return Problem(k, (k, 1 << encoder.bits), nonzeros=nonzeros)


def _columns(page: list[Line], problem: Problem) -> tuple[Columns, Array]:
    context, available = gathered([line.context for line in page], [None] * len(page), problem)
    numbers = np.array([line.number for line in page], np.int64)
    columns = Columns(
        np.zeros(len(page), np.int8),
        numbers,
        np.array([line.action for line in page], np.int64),
        np.array([line.propensity for line in page]),
        np.array([line.reward for line in page]),
        np.zeros((len(page), 0)),
        context,
        available,
    )
    return columns, numbers


def _line(text: bytes, number: int, encoder: Encoder, bad_lines: BadLines) -> Line | None:
    """Return what a line says, or None where it is bad."""
    if not text.strip():
        return None
    if not text.lstrip().startswith(b"{"):
        bad_lines.add("no_decision", number)
        return None
    try:
        event = {key.lower(): value for key, value in msgspec.json.decode(text, type=dict[str, Any]).items()}
    except (msgspec.DecodeError, UnicodeDecodeError):
        bad_lines.add("not_json" if text.endswith(b"\n") else "truncated", number)
        return None
    found = _decision(event, number, encoder)
    if isinstance(found, Line):
        return found
    bad_lines.add(found, number)
    return None


def _decision(event: dict[str, Any], number: int, encoder: Encoder) -> Line | str:
    """Return the decision, or what is wrong."""
    for key, kind in OTHERS.items():
        if key in event:
            return kind
    context = event.get("c")
    if not isinstance(context, dict):
        return "no_decision"
    actions = context.get("_multi")
    if not isinstance(actions, list) or not actions:
        return "no_actions"
    if "_slots" in context or any(isinstance(action, dict) and "_slot_id" in action for action in actions):
        return "other_problem"
    if event.get("_skiplearn") is True:
        return "skip_learn"
    cost, propensity = event.get("_label_cost"), event.get("_label_probability")
    action = event.get("_labelindex")
    if action is None and isinstance(event.get("_label_action"), int):
        action = event["_label_action"] - 1
    if cost is None or propensity is None or action is None:
        return "missing_label"
    if not isinstance(action, int) or isinstance(action, bool) or not 0 <= action < len(actions):
        return "bad_action"
    if not _is_number(cost):
        return "bad_reward"
    if not _is_number(propensity) or not 0.0 < propensity <= 1.0:
        return "bad_propensity"
    try:
        found = encoder.encode(context, actions) if encoder.dimension is None else encoder.dense(context, actions)
    except InvalidInput:
        return "bad_features"
    if isinstance(found, Features):
        return Line(number, found._replace(start=found.start[np.newaxis]), action, float(propensity), 0.0 - cost)
    return Line(number, found[np.newaxis], action, float(propensity), 0.0 - cost)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= REWARD_MAX
