"""Of which problem an export is, without reading more of it than its header."""

from __future__ import annotations

import msgspec

from ..vocabulary import Problem
from .arrow import format_module
from .log import read_header, reading
from .source import STDIN, Source


def problem_in(source: Source, form: str) -> Problem | None:
    """Return the problem of an export in JSON lines or Parquet; None for a plain table, and for standard input."""
    if source.path == STDIN:
        return None
    header = _in_parquet(source) if form == "parquet" else _in_jsonl(source)
    return None if header is None else read_header(source.path, header)[0]


def _in_parquet(source: Source) -> bytes | None:
    header: bytes | None = format_module("parquet", "the format parquet").header_of(source.path)
    return header


def _in_jsonl(source: Source) -> bytes | None:
    with reading(source.path, "a file of JSON lines"):
        line = source.first_line()
    try:
        header = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return line if isinstance(header, dict) and "onearm" in header else None
