"""The Open Bandit Dataset: one CSV file a campaign, one line an impression.

Source: Saito, Aihara, Matsutani, Narita, "Open Bandit Dataset and Pipeline", NeurIPS 2021 (datasets and
benchmarks). `item_id` is the action, `click` the reward, `propensity_score` the propensity; the lines are
sorted by `timestamp`. There are as many arms as `item_context.csv` beside the file has items, or, without it,
as the file has affinities.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from onearm.engine.columns import concat, take
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.log import BadLines, Log, log_of_table, reading
from onearm.engine.vocabulary import Array, Columns

COLUMNS = ("timestamp", "item_id", "click", "propensity_score")
AFFINITY = "user-item_affinity_"
ARM = r"^\d{1,18}$"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
TIMESTAMP = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?\+00:00$"
ITEMS = "item_context.csv"


def read(path: Path) -> Log:
    """Read a campaign. Bad lines are counted and named; the others are read."""
    bad_lines = BadLines()
    with reading(path, "a CSV file of the Open Bandit Dataset", pa.ArrowException, UnicodeDecodeError):
        with path.open(encoding="utf-8") as file:
            names = file.readline().rstrip("\r\n").split(",")
        if missing := [name for name in COLUMNS if name not in names]:
            raise InvalidInput(
                "wrong_format",
                f"{path} has no column {missing[0]!r}: a campaign of the Open Bandit Dataset has {', '.join(COLUMNS)}",
            )
        pages = list(_pages(path, bad_lines))
        if not pages:
            return log_of_table(path, [], bad_lines)
        time = np.concatenate([time for time, _, _ in pages])
        order = np.argsort(time, kind="stable")
        rows = take(concat([columns for _, columns, _ in pages]), order)
        lines = np.concatenate([lines for _, _, lines in pages])[order]
        return log_of_table(path, [(rows, lines)], bad_lines, _n_arms(path, names))


def _pages(path: Path, bad_lines: BadLines) -> Iterator[tuple[Array, Columns, Array]]:
    """Yield batches of lines: timestamps, columns and line numbers."""
    broken: list[int] = []

    def skip(row: csv.InvalidRow) -> str:
        broken.append(row.number)
        return "skip"

    reader = csv.open_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False),  # so that a broken line comes with its number
        parse_options=csv.ParseOptions(invalid_row_handler=skip, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(COLUMNS, pa.string()), include_columns=list(COLUMNS)
        ),
    )
    following = 2
    for batch in reader:
        candidates = np.arange(following, following + batch.num_rows + len(broken))
        lines = np.setdiff1d(candidates, broken, assume_unique=True)[: batch.num_rows]
        following = lines[-1] + 1 if len(lines) else following
        time, item, click, propensity = batch.columns
        good = np.ones(batch.num_rows, np.bool_)
        empty_line = pc.and_(pc.equal(time, ""), pc.equal(item, "")).fill_null(True)
        bad_lines.drop("broken", empty_line.to_numpy(zero_copy_only=False), lines, good)
        columns = Columns(
            np.zeros(batch.num_rows, np.int8),
            lines,
            _matching(item, ARM, "bad_action", bad_lines, lines, good).cast(pa.int64()).fill_null(0).to_numpy(),
            _numbers(propensity, "bad_propensity", bad_lines, lines, good),
            _numbers(click, "bad_reward", bad_lines, lines, good),
            np.zeros((batch.num_rows, 0)),
            np.zeros((batch.num_rows, 0)),
            np.ones((1, 1), np.bool_),
        )
        stamps = _matching(time, TIMESTAMP, "bad_timestamp", bad_lines, lines, good)
        microseconds = stamps.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).fill_null(0).to_numpy()
        yield microseconds[good], take(columns, good), lines[good]
    bad_lines.add("broken", *broken)


def _numbers(texts: pa.Array, kind: str, bad_lines: BadLines, lines: Array, good: Array) -> Array:
    """Return float64[n]; 0 where a text is no number, which counts as a bad line of this kind."""
    numbers = _matching(texts, NUMBER, kind, bad_lines, lines, good)
    return np.asarray(numbers.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False))


def _matching(texts: pa.Array, pattern: str, kind: str, bad_lines: BadLines, lines: Array, good: Array) -> pa.Array:
    """Return the texts, null where one does not match, which counts as a bad line of this kind."""
    matches = pc.match_substring_regex(texts, pattern).fill_null(False)
    bad_lines.drop(kind, ~matches.to_numpy(zero_copy_only=False), lines, good)
    return pc.if_else(matches, texts, None)


def _n_arms(path: Path, names: list[str]) -> int:
    """Return the number of arms, 0 where nothing but the log itself shows it."""
    items = path.with_name(ITEMS)
    if items.is_file():
        table = csv.read_csv(items, convert_options=csv.ConvertOptions(include_columns=["item_id"]))
        return int(pc.max(table.column("item_id")).as_py()) + 1
    return sum(name.startswith(AFFINITY) for name in names)
