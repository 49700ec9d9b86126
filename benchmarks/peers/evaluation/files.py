"""Estimate SNIPS of uniform play from files: python files.py, in an environment with polars, msgspec and numba.

A job is {"way", "form", "shape", "file", "arms"}, the answer {"value", "seconds"}, in CPU seconds of all threads.
Files are plain tables, campaigns of the Open Bandit Dataset, and exports, in which a decision and its reward are two
rows of one number.
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
NAMES = {"campaign": {"reward": "click", "propensity": "propensity_score"}}
COLUMNS = ("kind", "number", "propensity", "reward")


class Row(msgspec.Struct, gc=False):
    """A line of a plain table."""

    reward: float
    propensity: float


class Line(msgspec.Struct, gc=False):
    """A line of an export."""

    number: int = -1
    propensity: float = -1.0
    reward: float = 0.0


@numba.njit(error_model="numpy")
def of_rows(propensity: np.ndarray, reward: np.ndarray, target: float) -> float:
    above = below = 0.0
    for i in range(len(reward)):
        weight = target / propensity[i]
        above += weight * reward[i]
        below += weight
    return above / below


@numba.njit(error_model="numpy")
def of_events(
    learned: np.ndarray, number: np.ndarray, propensity: np.ndarray, reward: np.ndarray, target: float
) -> float:
    logged = np.zeros(number.max() + 1)
    above = below = 0.0
    for i in range(len(number)):
        if learned[i]:
            weight = target / logged[number[i]]
            above += weight * reward[i]
            below += weight
        else:
            logged[number[i]] = propensity[i]
    return above / below


def lazy(job: dict[str, Any]) -> pl.LazyFrame:
    """Return a file as a lazy frame of the columns that count."""
    file, shape = job["file"], job["shape"]
    if job["form"] == "parquet":
        frame = pl.scan_parquet(file)
    elif job["form"] == "jsonl":
        schema = {"kind": pl.String, "number": pl.Int64} if shape == "export" else {}
        frame = pl.scan_ndjson(file, schema=schema | {"propensity": pl.Float64, "reward": pl.Float64})
        if shape == "export":
            frame = frame.with_columns(
                kind=pl.col("kind").replace_strict({"decide": DECIDE, "learn": LEARN}, default=2)
            )
            frame = frame.filter(pl.col("kind") < 2)  # without the header
    else:
        frame = pl.scan_csv(file)
    renamed = [pl.col(NAMES.get(shape, {}).get(name, name)).alias(name) for name in COLUMNS[2:]]
    return frame.select(*COLUMNS) if shape == "export" else frame.select(*renamed)


def expressions(job: dict[str, Any]) -> float:
    frame = lazy(job)
    if job["shape"] == "export":
        decided = frame.filter(pl.col("kind") == DECIDE).select("number", "propensity")
        learned = frame.filter(pl.col("kind") == LEARN).select("number", "reward")
        frame = learned.join(decided, on="number")
    weight = 1.0 / job["arms"] / pl.col("propensity")
    found = frame.select(above=(weight * pl.col("reward")).sum(), below=weight.sum()).collect()
    return found["above"][0] / found["below"][0]


def compiled(job: dict[str, Any]) -> float:
    frame = lazy(job).collect()
    propensity, reward = (frame[name].cast(pl.Float64).to_numpy() for name in COLUMNS[2:])
    if job["shape"] == "export":
        learned = (frame["kind"] == LEARN).to_numpy()
        return of_events(learned, frame["number"].to_numpy(), propensity, reward, 1.0 / job["arms"])
    return of_rows(propensity, reward, 1.0 / job["arms"])


def by_msgspec(job: dict[str, Any]) -> float:
    with open(job["file"], "rb") as file:  # noqa: PTH123
        text = file.read()
    if job["shape"] == "table":
        rows = msgspec.json.Decoder(Row).decode_lines(text)
        propensity = np.array([row.propensity for row in rows])
        return of_rows(propensity, np.array([row.reward for row in rows]), 1.0 / job["arms"])
    lines = msgspec.json.Decoder(Line).decode_lines(text)[1:]  # without the header
    number = np.array([line.number for line in lines])
    propensity = np.array([line.propensity for line in lines])
    reward = np.array([line.reward for line in lines])
    return of_events(propensity < 0.0, number, propensity, reward, 1.0 / job["arms"])


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
