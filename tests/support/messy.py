"""Logs that somebody has to read, and what a plain fold in Python makes of them, line by line.

Rewards are late, several, or of no decision, and bad lines are anywhere.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from onearm.engine.storage.formats.parquet.schema import schema
from onearm.engine.storage.log import header_of
from onearm.engine.vocabulary import Problem

PROBLEM = Problem(3, (2,))
KINDS = ("decide", "learn", "change", "given")


class Expected(NamedTuple):
    """What is to be read of a log."""

    rows: list[
        tuple[int, float, float, list[float], list[bool], int]
    ]  # action, propensity, reward, context, mask, line
    decisions: int
    bad: dict[str, list[int]]


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Lines of events of `PROBLEM`; numbers are consecutive, or have gaps, or repeat."""
    step = draw(st.sampled_from([1, 1, 3]))
    repeats = draw(st.booleans())
    lines: list[dict[str, Any]] = []
    number = draw(st.integers(0, 5))
    for seq in range(1, draw(st.integers(1, 40))):
        kind = draw(st.sampled_from(["decide", "decide", "learn", "learn", "learn", "given", "change"]))
        line: dict[str, Any] = {"kind": kind, "seq": seq}
        if kind == "learn":
            reward = draw(st.sampled_from([0.0, 1.0, -2.5, 0.1]))
            line |= {"number": draw(st.integers(max(0, number - 8), number + 1)), "reward": reward}
        elif kind != "change":
            line["number"] = draw(st.integers(0, number)) if repeats and draw(st.booleans()) else number
            number = max(number, line["number"]) + step
            line["action"] = draw(st.sampled_from([0, 1, 2, 2, 3]))
            line["propensity"] = draw(st.sampled_from([None, 0.5, 1.0, 0.25, 0.0, 1.5]))
            line["context"] = draw(st.sampled_from([[0.5, 1.0], [0.25, -1.0], [None, 0.0]]))
            if draw(st.integers(0, 3)) == 0:
                line["available"] = draw(st.sampled_from([[0, 1, 2], [0, 2], [1]]))
        lines.append(line)
    return lines


def folded(lines: list[dict[str, Any]], first: int) -> Expected:
    """Return what is to be read of lines, the first of which has this number."""
    bad: dict[str, list[int]] = defaultdict(list)
    good: dict[int, bool] = {}
    decided: dict[int, tuple[Any, ...]] = {}
    total: dict[int, float] = {}
    for number, line in enumerate(lines, first):
        if line["kind"] == "change":
            continue
        if line["kind"] == "learn":
            if good.get(line["number"]):
                total[line["number"]] = total.get(line["number"], 0.0) + line["reward"]
            else:
                bad["unknown_decision"].append(number)
            continue
        propensity = math.nan if line["propensity"] is None else line["propensity"]
        context = [math.nan if value is None else value for value in line["context"]]
        mask = [action in line.get("available", (0, 1, 2)) for action in range(3)]
        if line["action"] >= 3:
            wrong = "bad_action"
        elif propensity <= 0 or propensity > 1:
            wrong = "bad_propensity"
        elif not all(map(math.isfinite, context)):
            wrong = "bad_context"
        elif not mask[line["action"]]:
            wrong = "unavailable_action"
        elif line["number"] in good:
            wrong = "repeated_decision"
        else:
            wrong = ""
            decided[line["number"]] = (line["action"], propensity, context, mask, number)
        if wrong:
            bad[wrong].append(number)
        good.setdefault(line["number"], not wrong)
    if any(not math.isnan(propensity) for _, propensity, *_ in decided.values()):  # others that nobody can weigh go
        given = {key for key, one in decided.items() if math.isnan(one[1]) and lines[one[4] - first]["kind"] == "given"}
        decided = {key: one for key, one in decided.items() if key not in given}
    rows = [
        (action, propensity, total[key], context, mask, number)
        for key, (action, propensity, context, mask, number) in decided.items()
        if key in total
    ]
    return Expected(rows, len(decided), {kind: numbers[:20] for kind, numbers in bad.items()})


def write_jsonl(path: Path, lines: list[dict[str, Any]], problem: Problem = PROBLEM) -> int:
    """Write an export; return the number of its first event's line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in [header_of(problem, {}), *lines]))
    return 2


def write_parquet(path: Path, lines: list[dict[str, Any]], problem: Problem = PROBLEM) -> int:
    """Write an export; return the number of its first event's row."""
    names = schema(problem, {})
    rows = []
    for line in lines:
        row = dict.fromkeys(names.names) | line | {"kind": KINDS.index(line["kind"])}
        if row["available"] is not None:
            row["available"] = np.isin(np.arange(problem.n_arms), row["available"]).tolist()
        rows.append(row)
    pq.write_table(pa.Table.from_pylist(rows, names), path)
    return 1
