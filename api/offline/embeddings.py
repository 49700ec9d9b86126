"""Categories of arms, by which MIPS weighs: from a file, or from what a campaign of the Open Bandit Dataset tells."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.storage.arrow import format_module
from ...engine.storage.numerals import natural_in
from ...engine.vocabulary import Array


def embedding_of(name: str, log: Path, form: str) -> Array:
    """Return the category of each arm, int64[k].

    `name` is a CSV file of two columns, arm (from 0) and category, or an item feature of the campaign `log`.
    """
    if Path(name).is_file():
        return _from_file(Path(name))
    if form == "obd":
        found: Array = format_module("obd", "the format obd").read_items(log, name)
        return found
    raise InvalidInput(
        "no_embedding", f"{name} is no file: --embedding takes a CSV file with the columns arm, category"
    )


def _from_file(path: Path) -> Array:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(row["arm"], row["category"]) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InvalidInput("bad_embedding", f"{path} has no columns arm and category ({why}): give both") from None
    arms = [_arm(path, place, said) for place, (said, _) in enumerate(rows, 2)]
    places = {name: place for place, name in enumerate(dict.fromkeys(name for _, name in rows))}
    if sorted(arms) != list(range(len(arms))):
        raise InvalidInput(
            "bad_embedding",
            f"{path} names the arms {sorted(arms)[:5]} ...: each from 0 on must be there once",
        )
    found = np.zeros(len(arms), np.int64)
    found[arms] = [places[name] for _, name in rows]
    return found


def _arm(path: Path, line: int, said: str | None) -> int:
    number = natural_in((said or "").strip(" \t"))
    if number is None:
        raise InvalidInput(
            "bad_embedding", f"{path}, line {line}: the arm is {said or ''!r}: it must be a number from 0 on"
        )
    return number
