"""A program that decides with a log, and says each thing once it is done: it can be killed at any time."""

from __future__ import annotations

import random
from typing import Any

from support.logged_engines import CASES

import onearm
from onearm.engine.errors import OnearmError


def main(arguments: list[str]) -> int:
    """Decide until somebody ends it; `arguments` are a case, a database, a commit and a seed."""
    name, database, commit, seed = arguments
    case, rng = CASES[name], random.Random(int(seed))
    pace = int(commit) if commit.isdecimal() else commit
    engine: Any = onearm.open(**case.given, database=database, experiment="e", commit=pace)
    waiting: list[Any] = []
    while True:
        made = case.decide(engine, rng)
        said(f"decided {made.number} {float(made.propensity).hex()} {chosen(made)}")
        waiting.append(made)
        while waiting and rng.random() < 0.6:
            one = waiting.pop(rng.randrange(len(waiting)))
            case.learn(engine, one, rng)
            said(f"learned {one.number}")


def said(line: str) -> None:
    print(line, flush=True)


def chosen(made: Any) -> str:
    return str(made.point.tobytes().hex() if made.logged is None else made.logged)


def refused(arguments: list[str]) -> int:
    """Try to open a database that is in use, and say why that is refused."""
    try:
        onearm.open(database=arguments[0], experiment="e")
    except OnearmError as error:
        said(f"{error.code} {error}")
        return 0
    return 1
