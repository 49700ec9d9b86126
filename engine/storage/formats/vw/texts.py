"""A log in Vowpal Wabbit's text as events: runs of lines, or lines where arms are numbered."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from ...bad_lines import BadLines
from ...source import Source, newlines
from .labels import Text, words_of

HEAD = 1000  # lines, after which a log that could be either is taken for one of numbered arms


def blocks_of(source: Source) -> tuple[bool, Iterator[bytes]]:
    """Return whether arms are numbered, and the log as blocks of whole lines."""
    blocks = source.blocks()
    head: list[bytes] = []
    n_lines = 0
    for block in blocks:
        head.append(block)
        n_lines += newlines(block)
        if n_lines >= HEAD:
            break
    return _is_numbered(islice(_lines_of(head), HEAD)), chain(head, blocks)


def texts_of(source: Source, bad_lines: BadLines) -> tuple[bool, Iterator[Text]]:
    """Return whether arms are numbered, and the events."""
    numbered, blocks = blocks_of(source)
    return numbered, texts_in(source, numbered, blocks, bad_lines)


def texts_in(source: Source, numbered: bool, blocks: Iterable[bytes], bad_lines: BadLines) -> Iterator[Text]:
    """Yield the events of blocks of whole lines, which are all that `source` has."""
    if not numbered:
        yield from (text for piece, line in pieces_of(source, blocks, bad_lines) for text in runs_in(piece, line))
        return
    for number, line in _whole(source, _lines_of(blocks), bad_lines):
        if line.strip():
            yield Text(number, [line])


def pieces_of(source: Source, blocks: Iterable[bytes], bad_lines: BadLines) -> Iterator[tuple[bytes, int]]:
    """Yield blocks that end with a run of lines, and how many lines come before each.

    Of a packed file that was cut short the last run is bad.
    """
    line, parts = 0, []
    for block in blocks:
        end = block.rfind(b"\n\n") + 2
        end = max(end, block.rfind(b"\n\r\n", end - 1) + 3)  # searched only behind the other
        if end < 3:  # no line is empty
            parts.append(block)
            continue
        piece = b"".join((*parts, memoryview(block)[:end]))  # one copy
        yield piece, line
        line += newlines(piece)
        parts = [block[end:]]
    rest = b"".join(parts)
    if source.broken is not None:
        end, first = _behind_runs(rest, line)
        bad_lines.add("truncated", first)
        rest = rest[:end]
    if rest:
        yield rest, line


def _behind_runs(rest: bytes, line: int) -> tuple[int, int]:
    """Return the bytes of what ends with an empty line, and the number of the line behind that."""
    at = end = 0
    first = line + 1
    for number, text in enumerate(io.BytesIO(rest), first):
        at += len(text)
        if not text.strip():
            end, first = at, number + 1
    return end, first


def runs_in(piece: bytes, line: int) -> Iterator[Text]:
    """Yield the runs of lines in a piece before which so many lines lie."""
    run: list[bytes] = []
    number = 0
    for last, text in enumerate(io.BytesIO(piece), line + 1):
        if text.strip():
            run.append(text.rstrip(b"\r\n"))
            number = number or last
        elif run:
            yield Text(number, run)
            run, number = [], 0
    if run:
        yield Text(number, run)


def _lines_of(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of blocks without their newlines, and their numbers, from 1."""
    number = 0
    for block in blocks:
        for line in io.BytesIO(block):
            number += 1
            yield number, line.rstrip(b"\r\n")


def _is_numbered(lines: Iterable[tuple[int, bytes]]) -> bool:
    """Whether events are lines, with arms that have numbers."""
    size = labels = 0
    for _, line in lines:
        if not line.strip():
            if size > 1:
                return False
            size = labels = 0
            continue
        words = words_of(line)
        if words[:1] == [b"shared"] or (words and words[0].startswith(b"0:")):
            return False
        size, labels = size + 1, labels + any(b":" in word for word in words)
        if labels > 1:
            return True
    return size <= 1 or labels > 1


def _whole(source: Source, lines: Iterator[tuple[int, bytes]], bad_lines: BadLines) -> Iterator[tuple[int, bytes]]:
    """Yield the lines; of a packed file that was cut short the last one is bad, as nobody knows where it ends."""
    before: tuple[int, bytes] | None = None
    for line in lines:
        if before is not None:
            yield before
        before = line
    if source.broken is not None:
        bad_lines.add("truncated", before[0] if before is not None else 1)
    elif before is not None:
        yield before
