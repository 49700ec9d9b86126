"""A log for candidates: read once for all that read it alike, and with no more of it than they need."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from onearm.api.offline.candidates import Candidate
from onearm.api.offline.judging import Log
from onearm.api.offline.options import MODELLED, Options
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source

DIMENSION = 256  # columns that named features are hashed to, for what reads rows of numbers
NAMED = ("dsjson", "vw")  # formats whose features have names
MODULES = {"csv": "csv_table"}  # of formats whose module has another name


def read(
    path: Path,
    form: str,
    candidates: Sequence[Candidate],
    options: Options,
    *,
    dimension: int | None = None,
    n_arms: int | None = None,
    segment: str | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Log:
    """Read a log as each of the candidates reads it, and as models of the reward do."""
    if dimension is not None and form not in NAMED:
        raise InvalidInput(
            "no_dimension", f"{path} is no log of {' or '.join(NAMED)}: --dimension is for features that have names"
        )
    modelled = bool(MODELLED & set(options.methods)) or options.embedding is not None
    contexts = modelled or any(_reads(each) for each in candidates)
    read_before: dict[int | None, Rows] = {}

    def as_read(columns: int | None) -> Rows:
        if columns not in read_before:
            wanted = Wanted(contexts=contexts, dimension=columns, n_arms=n_arms, segment=segment)
            read_before[columns] = read_rows(Source(path, progress), form, wanted)
        return read_before[columns]

    ways = [_columns(each, form, dimension) for each in candidates]
    main = dimension or DIMENSION if modelled and form in NAMED else ways[0]
    return Log(as_read(main), [as_read(way) for way in ways])


def read_rows(source: Source, form: str, wanted: Wanted) -> Rows:
    """Read the rows of a log by the module of its format."""
    module = importlib.import_module(f"onearm.engine.storage.{MODULES.get(form, form)}")
    rows: Rows = module.read_rows(source, wanted)
    return rows


def _columns(candidate: Candidate, form: str, dimension: int | None) -> int | None:
    """Return to how many columns named features are hashed for a candidate; None for features as they are."""
    policy = candidate.policy
    return dimension or (None if form not in NAMED or policy is None or "named" in policy.contexts else DIMENSION)


def _reads(candidate: Candidate) -> bool:
    """Whether a candidate may look at contexts."""
    return candidate.policy is not None and candidate.policy.name != "uniform"
