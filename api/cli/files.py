"""Which file is read and written how: by its ending, or by the format that a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onearm.engine.errors import InvalidInput
from onearm.engine.storage import jsonl, obd, parquet
from onearm.engine.storage.log import Log
from onearm.engine.vocabulary import Problem

READERS = {"jsonl": jsonl.read, "parquet": parquet.read, "obd": obd.read}
WRITERS: dict[str, Any] = {"jsonl": jsonl.Writer, "parquet": parquet.Writer}
ENDINGS = {".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".csv": "obd"}

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(list(READERS)),
    help="What the file is; default: by its ending (.jsonl, .parquet, .csv = obd, the Open Bandit Dataset).",
)


def read_log(path: Path, form: str | None) -> Log:
    """Read a log."""
    return READERS[form or _by_ending(path, READERS)](path)


def writer(path: Path, problem: Problem, experiment: dict[str, Any]) -> Any:
    """Open an export for writing; to be used in a `with` statement."""
    kind = WRITERS[_by_ending(path, WRITERS)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return kind(path, problem, experiment)
    except OSError as error:
        raise InvalidInput("cannot_write", f"cannot write {path} ({error.strerror}): name another file") from None


def _by_ending(path: Path, known: dict[str, Any]) -> str:
    form = ENDINGS.get(path.suffix.lower())
    if form not in known:
        endings = ", ".join(ending for ending, name in ENDINGS.items() if name in known)
        raise InvalidInput("unknown_format", f"{path} does not end in {endings}: rename it or say --format")
    return form
