"""Lines of cells, as CSV has them: some MB at a time become columns of text, and texts become numbers.

A line is a row, whatever it holds: a cell with a line break in it breaks both of its lines, and a quotation mark that
is never closed its own. Arrow parses and casts whole columns; texts are looked at one by one only where it refuses one.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow

from ...columns import take
from ...errors import InvalidInput, as_seen, counted
from ...vocabulary import Array, Columns
from ..ahead import in_order
from ..bad_lines import BadLines
from ..numerals import number_in
from ..rows import Page
from ..source import Source
from .segments import Segments
from .texts import text_of

MISSING = -(2**63)  # of `moments`
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN = (b"", b"nan", b"na", b"n/a", b"null", b"none")  # in lower case: what stands for no number
DELIMITERS = ",;\t|"
_YES = ("yes", "no", "y", "n")
FIRST = 1 << 16  # bytes that tell how many columns there are without a header
NO_NUMBERS: Mapping[str, pa.DataType] = MappingProxyType({})
Skip = Callable[[arrow.InvalidRow], str]  # what is done with a line that has not as many cells as there are columns


class Block(NamedTuple):
    """Some lines: `cells` are columns of n texts, in the order in which they were wanted."""

    cells: list[pa.Array]
    line: Array  # int64[n], from 1


class _Tried(NamedTuple):
    """A block as it was parsed, with no regard to the blocks before it."""

    block: bytes
    types: Mapping[str, pa.DataType]  # of the columns, by their places, that were to be read as numbers
    found: pa.Table | None  # None where the block as a whole cannot be parsed
    refused: bool  # whether some cell of these columns is no number
    skipped: list[int]  # the lines, from 0, of more or of fewer cells than the header


class Table:
    """The lines of a source, to be gone through once; the first of them is the header."""

    _types: Mapping[str, pa.DataType] = NO_NUMBERS  # of the columns, by their places, that are read as numbers

    def __init__(self, source: Source, bad_lines: BadLines, *, delimiter: str | None = None) -> None:
        """Read the header; without a delimiter, it is the one of `DELIMITERS` that it has most of."""
        self._source, self._bad_lines = source, bad_lines
        self._blocks = source.blocks()
        line, _, self._first = next(self._blocks, b"").partition(b"\n")
        self._next = 2  # number of the next line
        self._quotes = True
        if b"\0" in line:  # every second byte of UTF-16
            raise InvalidInput(
                "wrong_format", f"{source.path} is no text in UTF-8: save it as such, or as CSV UTF-8 in a spreadsheet"
            )
        if b"\r" in line.rstrip(b"\r"):
            raise InvalidInput(
                "wrong_format", f"the lines of {source.path} end in a return alone: save it with newlines"
            )
        self.header = text_of(source.mark + line)  # as it is written back
        self.delimiter = delimiter or max(DELIMITERS, key=self.header.count)
        self.names = names_in(self.header, self.delimiter)

    @classmethod
    def headless(cls, source: Source, bad_lines: BadLines, delimiter: str) -> Table:
        """Take a source without header and quotation marks, of as many columns as most of the first lines: 0, 1 ..."""
        found = cls.__new__(cls)
        found._source, found._bad_lines, found._next, found._quotes = source, bad_lines, 1, False
        found._blocks = source.blocks()
        found._first = next(found._blocks, b"")
        counts = Counter(len(line.split()) for line in found._first[:FIRST].splitlines()[:100])
        found.header, found.delimiter = "", delimiter
        found.names = [str(place) for place in range(counts.most_common(1)[0][0] if counts else 0)]
        return found

    def blocks(
        self,
        wanted: Sequence[str],
        numbers: Mapping[str, pa.DataType] = NO_NUMBERS,
        tidy: Callable[[bytes], bytes] = lambda block: block,
    ) -> Iterator[Block]:
        """Yield the cells of the columns `wanted`. Lines of more or of fewer cells than the header are "broken".

        Those of `numbers` are numbers of these types where all cells of a block are, which saves making texts of them.
        """
        places = [str(self.names.index(name)) for name in wanted]
        self._types = {place: numbers[name] for place, name in zip(places, wanted, strict=True) if name in numbers}
        given = ((tidy(block), places, self._types) for block in self._whole())
        for tried in in_order(self._try, given):
            yield from self._parsed(tried, places)
        if self._source.broken is not None:
            self._bad_lines.add("truncated", self._next)

    def _whole(self) -> Iterator[bytes]:
        """Yield the blocks, without the part of a line at the end of a packed file that was cut short."""
        for block in self._chain():
            if self._source.broken is not None and not block.endswith(b"\n"):
                block = block[: block.rfind(b"\n") + 1]
            if block:
                yield block

    def _chain(self) -> Iterator[bytes]:
        yield self._first
        yield from self._blocks

    def _parsed(self, tried: _Tried, places: list[str]) -> Iterator[Block]:
        """Yield the lines of a block, which `_next` numbers."""
        if tried.types is not self._types:  # a block before this one holds what is no number
            tried = self._try((tried.block, places, self._types))
        if tried.refused:
            self._types = {}  # it will be so in the next lines too
        block, found, start = tried.block, tried.found, self._next
        count = 0 if found is None else found.num_rows + len(tried.skipped)
        if found is None or (self._quotes and b'"' in block) or b"\r" in block:
            wanted = block.count(b"\n") + (not block.endswith(b"\n"))  # slow: a quarter of the parser's time
            if count != wanted or _is_torn(block, self._quotes):
                yield from self._halves(block, places, wanted)
                return
        self._next += count
        broken = [start + row for row in tried.skipped]
        self._break(*broken)
        if found is not None and found.num_rows:
            lines = np.arange(start, start + count)
            cells = [column.chunk(0) for column in found.columns]
            yield self._filled(cells, np.setdiff1d(lines, broken, assume_unique=True) if broken else lines)

    def _try(self, given: tuple[bytes, list[str], Mapping[str, pa.DataType]]) -> _Tried:
        """Parse a block, whatever the blocks before it hold: some threads do so at once."""
        block, places, types = given
        found, refused, skipped = None, False, list[int]()

        def skip(row: arrow.InvalidRow) -> str:
            skipped.append(row.number - 1)
            return "skip"

        if types:
            found = self._numbers(block, places, types, skip)
            refused = found is None
            if found is not None and found.num_rows and any(map(_holds_nan, found.columns)):
                found = None
        if found is None:
            skipped.clear()
            found = self._read(block, places, {}, skip)
        return _Tried(block, types, found, refused, skipped)

    def _filled(self, cells: list[pa.Array], lines: Array) -> Block:
        """Return the lines that are not empty: the others are broken."""
        kept = ~_are_empty(cells[0])
        for texts in cells[1:]:
            if kept.all():
                return Block(cells, lines)
            kept |= ~_are_empty(texts)
        self._break(*lines[~kept].tolist())
        return Block([kept_cells(texts, kept) for texts in cells], lines[kept])

    def _halves(self, block: bytes, places: list[str], count: int) -> Iterator[Block]:
        """Find out which of so many lines breaks the block."""
        if count == 1:
            self._break(self._next)
            self._next += 1
            return
        lines = io.BytesIO(block).readlines()
        for half in (lines[: count // 2], lines[count // 2 :]):
            yield from self._parsed(self._try((b"".join(half), places, self._types)), places)

    def _break(self, *lines: int) -> None:
        """Count lines that are no rows, in their order."""
        self._bad_lines.add("broken", *lines)
        if lines:
            cells = f"{counted(len(self.names), 'cell')}{' of the header' * bool(self.header)}"
            rule = f"line {lines[0]} does not have the {cells}: a row is one line, and no cell of it holds a line break"
            self._bad_lines.reasons.setdefault("broken", rule)

    def _numbers(
        self, block: bytes, places: list[str], types: Mapping[str, pa.DataType], skip: Skip
    ) -> pa.Table | None:
        """Return lines whose cells are numbers where they are to be, None where one is not."""
        if _may_hold_hexadecimal(block):
            types = {place: kind for place, kind in types.items() if not pa.types.is_integer(kind)}
        return self._read(block, places, types, skip)

    def _read(self, block: bytes, places: list[str], types: Mapping[str, pa.DataType], skip: Skip) -> pa.Table | None:
        try:
            return arrow.read_csv(
                pa.py_buffer(block),
                arrow.ReadOptions(
                    use_threads=False,  # so that a broken line comes with its number
                    block_size=len(block) + 1,
                    column_names=[str(place) for place in range(len(self.names))],
                ),
                arrow.ParseOptions(
                    delimiter=self.delimiter,
                    quote_char='"' if self._quotes and b'"' in block else False,
                    invalid_row_handler=skip if _is_text(block) else None,
                    ignore_empty_lines=False,
                ),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(places, pa.string()) | dict(types),
                    include_columns=places,
                    check_utf8=False,
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid:
            return None


class Marked(NamedTuple):
    """Lines of a table of which some are bad, and marked so with what was seen in the first."""

    lines: Array  # int64[n]
    kept: Array  # bool[n]
    bad_lines: BadLines

    def drop(self, kind: str, bad: Array, texts: pa.Array, reason: str) -> None:
        """Count the lines that are `bad`, bool[n], and take them out; the reason has a place for the cell."""
        for place in np.flatnonzero(bad & self.kept)[:1]:
            seen = raw(texts[place : place + 1])[0].decode("utf-8", "replace")
            said = reason.format(as_seen(seen)) + _hint(seen)
            self.bad_lines.reasons.setdefault(kind, f"line {self.lines[place]}: {said}")
        self.bad_lines.drop(kind, bad, self.lines, self.kept)


def _hint(cell: str) -> str:
    """Return how a cell is written that is meant as a number; nothing for others.

    >>> _hint("1,5"), _hint("1,234.5"), _hint("50 %"), _hint("Yes"), _hint("")
    (', with a point in place of a comma', ', as 1234.5', ', as 0.5 for 50 %', ', as 1 for yes', '')
    """
    if cell.strip().lower() in _YES:
        return ", as 1 for yes"
    if "%" in cell:
        return ", as 0.5 for 50 %"
    return "" if "," not in cell else ", as 1234.5" if "." in cell else ", with a point in place of a comma"


def _holds_nan(column: pa.ChunkedArray) -> bool:
    """Whether a column of one chunk holds NaN, which may stand for a number that nobody knows."""
    return pa.types.is_floating(column.type) and bool(np.isnan(np.from_dlpack(column.chunk(0)).min()))


def _are_empty(texts: pa.Array) -> Array:
    """Return bool[n], by where the texts begin; numbers are there."""
    if not pa.types.is_string(texts.type):
        return np.zeros(len(texts), np.bool_)
    begin = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return begin[1:] == begin[:-1]


def _is_torn(block: bytes, quotes: bool) -> bool:
    """Whether a return parts a line, or a quotation mark of the last one is closed by nothing but its end."""
    if block.count(b"\r") != block.count(b"\r\n"):
        return True
    last = block[block.rstrip(b"\n").rfind(b"\n") + 1 :]
    return quotes and last.count(b'"') % 2 == 1


def _is_text(block: bytes) -> bool:
    """Whether a block is UTF-8: Arrow cannot hand over a broken line that is none."""
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def split(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line.

    >>> split('1,"a,b",', ",")
    ['1', 'a,b', '']
    """
    try:
        return next(csv.reader([line], delimiter=delimiter), []) if '"' in line else line.split(delimiter)
    except csv.Error:  # a return in the line, or a cell of more than 128 kB
        return line.split(delimiter)


def names_in(header: str, delimiter: str) -> list[str]:
    """Return the names in a header line, without blanks around them and the mark that some programs put before it."""
    return [name.strip() for name in split(header.removeprefix("\ufeff").removesuffix("\r"), delimiter)]


def floats(texts: pa.Array) -> Array:
    """Return float64[n], NaN where a text is no number; a whole number beyond 2^53 becomes the nearest one."""
    try:
        return np.from_dlpack(texts.cast(pa.float64(), safe=False))  # unlike `to_numpy`, it does not import pandas
    except pa.ArrowInvalid:
        filled = ~_are_empty(texts)
        if filled.all():
            return np.array([number_in(text.decode("latin-1")) for text in raw(texts)])
    found = np.full(len(filled), np.nan)
    found[filled] = floats(kept_cells(texts, filled))
    return found


def lies_within(numbers: Array, low: float, high: float) -> bool:
    """Whether all numbers, float64[n], lie in [low, high]; with a NaN among them they don't.

    >>> lies_within(np.array([0.5, 1.0]), 0.0, 1.0), lies_within(np.array([0.5, np.nan]), 0.0, 1.0)
    (True, False)
    """
    return not len(numbers) or bool(numbers.min() >= low and numbers.max() <= high)


def wholes(texts: pa.Array) -> Array:
    """Return int64[n], something negative where a text is no whole number from 0 on, in decimal digits."""
    if not (pa.types.is_string(texts.type) and _may_hold_hexadecimal(_letters(texts))):
        try:
            return np.from_dlpack(texts.cast(pa.int64()))
        except pa.ArrowInvalid:
            pass
    found = floats(texts)
    whole = (found >= 0.0) & (found == np.floor(found)) & (found < 2.0**53)
    return np.where(whole, found, -1.0).astype(np.int64)


def _letters(texts: pa.Array) -> bytes:
    """Return texts one after the other, and maybe some that lie beside them."""
    buffer = texts.buffers()[2]
    return b"" if buffer is None else buffer.to_pybytes()


def _may_hold_hexadecimal(letters: bytes) -> bool:
    """Whether a number like 0x1f may be among these letters: Arrow reads it as a whole number, and not as a float."""
    return b"x" in letters or b"X" in letters


def moments(texts: pa.Array) -> Array:
    """Return int64[n], microseconds since 1970 UTC, `MISSING` where a text is no time in ISO 8601."""
    try:
        return np.from_dlpack(texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
    except pa.ArrowInvalid:
        return np.array([moment(text) for text in raw(texts)], np.int64)


def moment(text: bytes) -> int:
    """Return the microseconds of one text; a time without a zone is in UTC.

    >>> moment(b"1970-01-01 00:00:01.5+00:00"), moment(b"yesterday") == MISSING
    (1500000, True)
    """
    try:
        found = datetime.fromisoformat(text.decode().strip())
    except (ValueError, UnicodeDecodeError):
        return MISSING
    zoned = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    return (zoned - EPOCH) // timedelta(microseconds=1)


def written(microseconds: int) -> str:
    """Return a moment as text that `moment` reads.

    >>> written(1500000)
    '1970-01-01 00:00:01.500000+00:00'
    """
    return str(EPOCH + timedelta(microseconds=microseconds))


def number_text(value: float) -> str:
    """Return a number as it is written, shortest form that is read back to the bit.

    >>> number_text(2.0), number_text(0.1), number_text(-0.0)
    ('2', '0.1', '-0.0')
    """
    is_whole = value == math.floor(value) and abs(value) < 1e15 and (value != 0.0 or math.copysign(1.0, value) > 0.0)
    return str(int(value)) if is_whole else repr(value)


def raw(texts: pa.Array) -> list[bytes]:
    """Return texts as the bytes that they are, and numbers as texts."""
    found: list[bytes] = texts.cast(pa.string()).cast(pa.binary()).to_pylist()
    return found


def unknown(texts: pa.Array, among: Array) -> Array:
    """Return bool[n], whether a text says that nothing is known: empty, NaN, null; False but `among`, bool[n]."""
    found = np.zeros(len(texts), np.bool_)
    found[among] = [text.strip().lower() in UNKNOWN for text in raw(kept_cells(texts, among))]
    return found


def truths(texts: pa.Array, among: Array) -> Array | None:
    """Return float64[n], 1 for true and 0 for false, NaN for what says that nothing is known.

    None where something else stands there: a column is of such words or of numbers, so `among`, bool[n], is all.
    """
    if not among.all():
        return None
    names, place = coded(texts)
    known = {b"true": 1.0, b"false": 0.0} | dict.fromkeys(UNKNOWN, math.nan)
    found = [known.get(name.strip().lower()) for name in names]
    return None if None in found else np.array(found, np.float64)[place]


def refuse_truths(what: str, texts: pa.Array) -> None:
    """Refuse a column of probabilities that holds true and false."""
    said = truths(texts, np.ones(len(texts), np.bool_)) if pa.types.is_string(texts.type) else None
    if said is not None and not np.isnan(said).all():
        raise InvalidInput("bad_column", f"{what} holds true and false: a probability is a number in [0, 1]")


def coded(texts: pa.Array) -> tuple[list[bytes], Array]:
    """Return the different texts, and int64[n], the place of each one among them."""
    found = texts.dictionary_encode()
    return raw(found.dictionary), np.from_dlpack(found.indices).astype(np.int64)


def segment_places(segments: Segments, texts: pa.Array) -> Array:
    """Return int64[n], the segment of each row."""
    names, place = coded(texts)
    return segments.places([name.decode("utf-8", "replace") for name in names])[place]


def kept_cells(texts: pa.Array, kept: Array) -> pa.Array:
    """Return the texts that are kept, bool[n]."""
    rows = np.flatnonzero(kept)
    places = pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)])  # `pa.array` imports pandas
    return texts if len(rows) == len(kept) else texts.take(places)


def page_of(
    action: Array, propensity: Array, reward: Array, context: Array, lines: Array, segment: Array | None, kept: Array
) -> Page:
    """Return the rows that are kept, bool[n], as a page; `context` and `segment` have rows for these only."""
    n = len(lines)
    columns = Columns(
        np.zeros(n, np.int8),
        lines,
        action,
        propensity,
        reward,
        np.zeros((n, 0)),
        np.zeros((n, 0)),
        np.ones((1, 1), np.bool_),
    )
    if not kept.all():
        columns, lines = take(columns, kept), lines[kept]
    return Page(
        columns._replace(context=context), lines, np.zeros(len(lines), np.int64) if segment is None else segment
    )
