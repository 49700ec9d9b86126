"""Estimate SNIPS of uniform play from files: python files.py, in an environment with polars, msgspec and numba.

A job is {"way", "form", "shape", "file", "arms"}, the answer {"value", "seconds"}, in CPU seconds of all threads.
Files are plain tables, campaigns of the Open Bandit Dataset, and exports, in which a decision and its reward are two
rows of one number, or in the joined form one.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import msgspec
import numba
import numpy as np
import polars as pl

DECIDE, LEARN = 0, 1
NAMES = {"campaign": {"action": "item_id", "reward": "click", "propensity": "propensity_score"}}
COLUMNS = ("kind", "number", "action", "propensity", "reward")
LARGEST = 1e100  # of a reward, as ours allow


class Row(msgspec.Struct, gc=False):
    """A line of a plain table."""

    action: int
    reward: float
    propensity: float


class Line(msgspec.Struct, gc=False):
    """A line of an export."""

    number: int = -1
    action: int = -1
    propensity: float = -1.0
    reward: float = 0.0


@numba.njit(error_model="numpy")
def of_rows(action: np.ndarray, propensity: np.ndarray, reward: np.ndarray, arms: int) -> float:
    above = below = 0.0
    bad = 0
    for i in range(len(reward)):
        weight = 1.0 / arms / propensity[i]
        bad += not (0 <= action[i] < arms and 0.0 < propensity[i] <= 1.0 and abs(reward[i]) <= LARGEST)
        above += weight * reward[i]
        below += weight
    return above / below if bad == 0 else np.nan


@numba.njit(error_model="numpy")
def of_events(
    learned: np.ndarray,
    number: np.ndarray,
    action: np.ndarray,
    propensity: np.ndarray,
    reward: np.ndarray,
    arms: int,
) -> float:
    logged = np.zeros(number.max() + 1)
    above = below = 0.0
    bad = 0
    for i in range(len(number)):
        if learned[i]:
            weight = 1.0 / arms / logged[number[i]]
            bad += not (weight < np.inf and abs(reward[i]) <= LARGEST)
            above += weight * reward[i]
            below += weight
        else:
            logged[number[i]] = propensity[i]
            bad += not (0 <= action[i] < arms and 0.0 < propensity[i] <= 1.0)
    return above / below if bad == 0 else np.nan


def lazy(job: dict[str, Any]) -> pl.LazyFrame:
    """Return a file as a lazy frame of the columns that count."""
    file, shape = job["file"], job["shape"]
    if job["form"] == "parquet":
        frame = pl.scan_parquet(file)
        if shape == "joined":
            frame = frame.filter(pl.col("kind") == DECIDE, pl.col("reward").is_not_null())
    elif job["form"] == "jsonl":
        schema = {"kind": pl.String, "number": pl.Int64} if shape == "export" else {}
        frame = pl.scan_ndjson(
            file, schema=schema | {"action": pl.Int64, "propensity": pl.Float64, "reward": pl.Float64}
        )
        if shape == "export":
            frame = frame.with_columns(
                kind=pl.col("kind").replace_strict({"decide": DECIDE, "learn": LEARN}, default=2)
            )
            frame = frame.filter(pl.col("kind") < 2)  # without the header
    else:
        frame = pl.scan_csv(file)
    ordered = ["timestamp"] if shape == "campaign" else []
    renamed = [pl.col(NAMES.get(shape, {}).get(name, name)).alias(name) for name in COLUMNS[2:]]
    return frame.select(*COLUMNS) if shape == "export" else frame.select(*renamed, *ordered)


def expressions(job: dict[str, Any]) -> float:
    frame = lazy(job)
    if job["shape"] == "export":
        decided = frame.filter(pl.col("kind") == DECIDE).select("number", "propensity")
        learned = frame.filter(pl.col("kind") == LEARN).select("number", "reward")
        frame = learned.join(decided, on="number")
    weight = 1.0 / job["arms"] / pl.col("propensity")
    good = pl.col("propensity").is_between(0.0, 1.0, closed="right") & pl.col("reward").is_finite()
    found = frame.select(above=(weight * pl.col("reward")).sum(), below=weight.sum(), good=good.all()).collect()
    return found["above"][0] / found["below"][0] if found["good"][0] else float("nan")


def compiled(job: dict[str, Any]) -> float:
    frame = lazy(job).collect()
    if job["shape"] == "campaign":  # ours are in the order of time
        frame = frame.sort("timestamp", maintain_order=True)
    action = frame["action"].cast(pl.Int64).fill_null(0).to_numpy()
    propensity, reward = (frame[name].cast(pl.Float64).to_numpy() for name in COLUMNS[3:])
    if job["shape"] == "export":
        learned = (frame["kind"] == LEARN).to_numpy()
        return of_events(learned, frame["number"].to_numpy(), action, propensity, reward, job["arms"])
    return of_rows(action, propensity, reward, job["arms"])


def by_msgspec(job: dict[str, Any]) -> float:
    with open(job["file"], "rb") as file:  # noqa: PTH123
        text = file.read()
    if job["shape"] == "table":
        rows = msgspec.json.Decoder(Row).decode_lines(text)
        columns = [np.array([getattr(row, name) for row in rows]) for name in COLUMNS[2:]]
        return of_rows(*columns, job["arms"])
    lines = msgspec.json.Decoder(Line).decode_lines(text)[1:]  # without the header
    number, *columns = (np.array([getattr(line, name) for line in lines]) for name in COLUMNS[1:])
    return of_events(columns[1] < 0.0, number, *columns, job["arms"])


WAYS = {"expressions": expressions, "compiled": compiled, "msgspec": by_msgspec}


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        start = time.process_time()
        try:
            value = WAYS[job["way"]](job)
            answer: dict[str, Any] = {"value": float(value), "seconds": time.process_time() - start}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
