"""A log in Vowpal Wabbit's text as events: runs of lines, or lines where arms are numbered."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from ...log import BadLines
from ...source import Source
from .labels import Text, words_of

HEAD = 1000  # lines, after which a log that could be either is taken for one of numbered arms


def texts_of(source: Source, bad_lines: BadLines) -> tuple[bool, Iterator[Text]]:
    """Return whether arms are numbered, and the events."""
    lines = ((number, line.rstrip(b"\r\n")) for number, line in source.lines())
    head: list[tuple[int, bytes]] = []
    numbered = _is_numbered(head, lines)
    every = chain(head, lines)
    if numbered:
        return True, (Text(number, [line]) for number, line in _whole(source, every, bad_lines) if line.strip())
    return False, _runs(source, every, bad_lines)


def _is_numbered(head: list[tuple[int, bytes]], lines: Iterator[tuple[int, bytes]]) -> bool:
    """Whether events are lines, with arms that have numbers; lines that were looked at are added to `head`."""
    size = labels = 0
    for number, line in islice(lines, HEAD):
        head.append((number, line))
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


def _runs(source: Source, lines: Iterator[tuple[int, bytes]], bad_lines: BadLines) -> Iterator[Text]:
    """Yield runs of lines that are not empty; of a packed file that was cut short the last one is bad."""
    run: list[bytes] = []
    number = last = 0
    for last, line in lines:
        if line.strip():
            run.append(line)
            number = number or last
        elif run:
            yield Text(number, run)
            run, number = [], 0
    if source.broken is not None:
        bad_lines.add("truncated", number or last + 1)
    elif run:
        yield Text(number, run)
