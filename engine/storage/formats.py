"""The formats of log files, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onearm.engine.errors import InvalidInput
from onearm.engine.storage import jsonl, obd, parquet
from onearm.engine.storage.log import Log

READERS: dict[str, Callable[[Path], Log]] = {"jsonl": jsonl.read, "parquet": parquet.read, "obd": obd.read}
WRITERS: dict[str, type[jsonl.Writer] | type[parquet.Writer]] = {
    "jsonl": jsonl.Writer,
    "parquet": parquet.Writer,
}
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet", ".csv": "obd"}


def format_of(path: Path) -> str:
    """Return the format that a file's name shows."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise InvalidInput(
            "unknown_format",
            f"the name of {path} does not show its format: it must end in {', '.join(SUFFIXES)}; or name the "
            f"format, one of {', '.join(READERS)}",
        ) from None
