"""Decodes lines, some MB at a time; what cannot be read is counted and named."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from ....errors import InvalidInput
from ....vocabulary import Array
from ...bad_lines import BadLines
from ...log import ADVICE
from ...source import Source
from .lines import UNREADABLE

NEWLINE = 10  # `bytes.count` takes ten times as long where there are many
_ARRAY = re.compile(rb"\s*\[\s*(?:\{|$)")
FORM = "a file of JSON lines"
Lines = Iterator[tuple[list[Any], Array]]  # some that could be decoded, with their numbers, int64[n]


def opened(source: Source) -> tuple[bytes | None, Iterator[bytes]]:
    """Return the header, None where there is none, and what follows it in blocks of whole lines."""
    blocks = source.blocks()
    first = next(blocks, None)
    if first is None:
        raise InvalidInput("empty_file", f"{source.path} is empty: {ADVICE}")
    if _ARRAY.match(first):
        raise InvalidInput(
            "wrong_format",
            f"{source.path} is one JSON array: write a line for each of its rows, as to_json(..., orient='records', "
            "lines=True) of pandas and write_ndjson of polars do",
        )
    header, _, rest = first.partition(b"\n")
    if _is_header(header):
        return header, chain([rest] if rest else [], blocks)
    return None, chain([first], blocks)


def _is_header(line: bytes) -> bool:
    try:
        header = msgspec.json.decode(line)
    except UNREADABLE:
        return False
    return isinstance(header, dict) and "onearm" in header


def decoded(
    source: Source, blocks: Iterator[bytes], decoder: msgspec.json.Decoder[Any], bad_lines: BadLines, start: int
) -> Lines:
    """Yield the lines that can be decoded, each with its number; count the others."""
    for block in blocks:
        n = int(np.count_nonzero(np.frombuffer(block, np.uint8) == NEWLINE)) + (not block.endswith(b"\n"))
        try:
            lines = decoder.decode_lines(block)
        except UNREADABLE:
            lines = []
        if len(lines) == n:  # else there are empty ones, or two in one
            yield lines, np.arange(start, start + n)
        else:
            yield _one_by_one(block, decoder, bad_lines, start)
        start += n
    if source.broken is not None:
        bad_lines.add_line("truncated", start)


def _one_by_one(
    block: bytes, decoder: msgspec.json.Decoder[Any], bad_lines: BadLines, start: int
) -> tuple[list[Any], Array]:
    lines, numbers = [], []
    for number, line in enumerate(io.BytesIO(block), start):
        try:
            lines.append(decoder.decode(line))
            numbers.append(number)
        except UNREADABLE as error:
            if line.strip():
                bad_lines.add_line(_kind_of(error, complete=line.endswith(b"\n")), number)
    return lines, np.array(numbers, np.int64)


def _kind_of(error: Exception, *, complete: bool) -> str:
    """Name what is wrong with a line."""
    if not isinstance(error, msgspec.ValidationError):
        return "not_json" if complete else "truncated"
    text = str(error)
    if "missing required field" in text:
        return "unknown_kind" if "`kind`" in text else "missing_field"
    return "unknown_kind" if "$.kind" in text else "wrong_type"
