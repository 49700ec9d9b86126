"""Names that were met, and what they are known by: compiled code's memo of `features.feature_number`.

A *namespace* is known by its parent and its last part, a *feature* by its namespace and its name. Both are looked up
by their bytes, which are compared: two names never share an entry. The bytes that are looked up are written behind
those that are known, in whole words filled up with zeros; where they are new they stay there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import aligned_zeros
from ..kernel import kernel, routine
from ..vocabulary import Array
from .blake import blake2b_8
from .words import signed, some_bytes

MESSAGE = 1024  # bytes of a namespace and a name
MINUS, DIGIT = ord("-"), ord("0")
ROOT = 0  # the namespace without a name
ENTRIES, TEXT = 1 << 16, 1 << 21  # of a memo: 7 MB
_LIMIT = 3 * ENTRIES // 4  # with so many names it is emptied before the next context

# Columns of an entry.
MARK, KNOWN_BY, START, SIZE, SEEN, AT, WHOLE, WHOLE_SIZE = range(8)
_PRIME, _SEED, _29, _32, _0, _64 = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 29, 32, 0, 64))


class Names(NamedTuple):
    """A memo."""

    table: Array  # int32[2 * ENTRIES], an entry + 1 where its mark leads to; 0 for none
    entry: Array  # uint64[ENTRIES, 8]
    words: Array  # uint64[TEXT / 8], the bytes of all names,
    text: Array  # uint8[TEXT], and the same memory as bytes
    used: Array  # int64[3], entries; words; objects that were read, by which a key that comes twice is noticed
    message: Array  # uint64[MESSAGE / 8]
    message_text: Array  # uint8[MESSAGE], the same memory
    state: Array  # uint64[8], of the hash


def empty_names() -> Names:
    """Return a memo of no names."""
    words, message = np.zeros(TEXT // 8, np.uint64), np.zeros(MESSAGE // 8, np.uint64)
    table, entry = np.zeros(2 * ENTRIES, np.int32), aligned_zeros(ENTRIES, 8).view(np.uint64)
    used = np.zeros(3, np.int64)
    return Names(
        table, entry, words, words.view(np.uint8), used, message, message.view(np.uint8), np.zeros(8, np.uint64)
    )


@kernel
def make_room(names: Names) -> None:
    """Forget all names where they are many; before a context, as its entries are known by their places."""
    if 0 < names.used[0] < _LIMIT and names.used[1] < 3 * len(names.words) // 4:
        return
    for i in range(len(names.table)):
        names.table[i] = 0
    for column in range(8):
        names.entry[ROOT, column] = np.uint64(0)
    names.used[0] = 1
    names.used[1] = 0


@kernel
def write(names: Names, data: Array, start: int, stop: int, size: int) -> int:
    """Write bytes `start` to `stop` of `data` behind the `size` bytes of a name under way; return their new number.

    The first call has the size 0. Where no name can be as long, nothing is written and -1 is returned.
    """
    total = size + stop - start
    first = names.used[1]
    if size < 0 or total > MESSAGE or first + MESSAGE // 8 >= len(names.words):
        return -1
    at, place = start, first + (size >> 3)
    shift = np.uint64(8 * (size & 7))
    while at < stop:
        word = some_bytes(data, at, min(stop - at, 8))
        if shift == _0:
            names.words[place] = word
        else:
            names.words[place] |= word << shift
            names.words[place + 1] = word >> (_64 - shift)
        at += 8
        place += 1
    return total


@kernel
def write_byte(names: Names, byte: int, size: int) -> int:
    """Write one byte behind a name under way, as `write` does."""
    first = names.used[1]
    if size < 0 or size >= MESSAGE or first + MESSAGE // 8 >= len(names.words):
        return -1
    word = np.uint64(byte) << np.uint64(8 * (size & 7))
    place = first + (size >> 3)
    names.words[place] = word if size & 7 == 0 else names.words[place] | word
    return size + 1


@kernel
def write_whole(names: Names, number: int, size: int) -> int:
    """Write a whole number, as `str` does, behind a name under way."""
    rest = abs(number)
    if number < 0:
        size = write_byte(names, MINUS, size)
    unit = 1
    while rest // unit >= 10:
        unit *= 10
    while unit > 0:
        size = write_byte(names, DIGIT + rest // unit % 10, size)
        unit //= 10
    return size


@kernel
def lookup(names: Names, parent: int, size: int, spaces: bool) -> int:
    """Return the entry of the `size` bytes that were written: of a namespace in another one, or of a feature of one.

    Returns -1 where there is no room for another one, or the message would be too long.
    """
    if size < 0:
        return -1
    first, n_words = names.used[1], (size + 7) // 8
    mark = np.uint64(2 * parent + (1 if spaces else 0)) * _SEED + np.uint64(size)
    for word in range(first, first + n_words):
        mark = (mark ^ names.words[word]) * _PRIME
        mark ^= mark >> _29
    mark ^= mark >> _32
    mask = len(names.table) - 1
    place = signed(mark & np.uint64(mask))
    key = _key_of(parent, size, spaces)
    while names.table[place] != 0:
        found = names.table[place] - 1
        if names.entry[found, MARK] == mark and names.entry[found, SIZE] == key:
            start = signed(names.entry[found, START])
            same = True
            for i in range(n_words if n_words > 1 else 0):  # the mark of one word has no other
                same &= names.words[start + i] == names.words[first + i]
            if same:
                return signed(found)
        place = (place + 1) & mask
    return _remembered(names, parent, size, spaces, place, mark)


@routine
def _remembered(names: Names, parent: int, size: int, spaces: bool, place: int, mark: np.uint64) -> int:
    """Return a new entry, to which a place of the table leads now; -1 where there is no room for it."""
    new, first = names.used[0], names.used[1]
    if new >= len(names.entry) or not _kept(names, parent, size, spaces, new):
        return -1
    names.entry[new, MARK] = mark
    names.entry[new, SIZE] = _key_of(parent, size, spaces)
    names.entry[new, START] = np.uint64(first)
    names.entry[new, SEEN] = np.uint64(0)
    names.table[place] = np.int32(new + 1)
    names.used[0] = new + 1
    return new


@kernel
def _key_of(parent: int, size: int, spaces: bool) -> np.uint64:
    return np.uint64(size) << _32 | np.uint64(2 * parent + (1 if spaces else 0))


@kernel
def _kept(names: Names, parent: int, size: int, spaces: bool, new: int) -> bool:
    """Keep the bytes that were written, with a feature's number or a namespace's whole name; False without room."""
    first, n_words = names.used[1], (size + 7) // 8
    whole, whole_size = 8 * signed(names.entry[parent, WHOLE]), signed(names.entry[parent, WHOLE_SIZE])
    total = whole_size + size + (1 if not spaces or whole_size else 0)
    if total > MESSAGE:
        return False
    for i in range(whole_size):
        names.message_text[i] = names.text[whole + i]
    behind = whole_size
    if not spaces or whole_size:
        names.message_text[behind] = np.uint8(46 if spaces else 31)
        behind += 1
    for i in range(size):
        names.message_text[behind + i] = names.text[8 * first + i]
    names.used[1] = first + n_words
    if not spaces:
        for i in range(total, min((total + 127) // 128 * 128, MESSAGE)):
            names.message_text[i] = np.uint8(0)
        names.entry[new, KNOWN_BY] = blake2b_8(names.message, total, names.state)
        return True
    names.entry[new, WHOLE] = np.uint64(first + n_words)
    names.entry[new, WHOLE_SIZE] = np.uint64(total)
    end = first + n_words + (total + 7) // 8
    if end >= len(names.words):
        return False
    for i in range(total):
        names.text[8 * (first + n_words) + i] = names.message_text[i]
    names.used[1] = end
    return True
