"""Names that were met, and what they are known by: compiled code's memo of `features.feature_number`.

A *namespace* is known by its parent and its last part, a *feature* by its namespace and its name. Both are looked up
by their bytes, which are compared: two names never share an entry. The bytes that are looked up are written behind
those that are known, in whole words filled up with zeros; where they are new they stay there.
What new features are known by is worked out for several at once: until `settle` is called an entry may not say it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import aligned_zeros
from ..kernel import kernel, routine
from ..vocabulary import Array
from .blake import BLOCK, LANES, NUMBERS, SIZES, WORDS, blake2b_8, blake2b_8_of_each
from .words import fetch, signed, some_bytes

MESSAGE = 1024  # bytes of a namespace and a name
MINUS, DIGIT = ord("-"), ord("0")
ROOT = 0  # the namespace without a name
ENTRY_BITS, TEXT = 16, 1 << 21
ENTRIES = 1 << ENTRY_BITS  # of a memo: 4 MB
_LIMIT = 3 * ENTRIES // 4  # with so many names it is emptied before the next context

# Columns of an entry: of a namespace KNOWN_BY is where its whole name lies in the text, and its size below 32 bits.
MARK, KEY, KNOWN_BY, SEEN = range(4)
_PRIME, _SEED, _29, _32, _0, _64 = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 29, 32, 0, 64))
_PLACE_SHIFT = np.uint64(64 - ENTRY_BITS)
_USED, _KEY_BITS = np.uint64(1 << 31), np.uint64(0xFFFFFFFF)
SIZE_MAX = (1 << 14) - 1
_KEY_OF_ROOT = np.uint64(0xFFFFFFFF)  # which no name that is looked up has


class Late(NamedTuple):
    """Features whose numbers are not worked out yet."""

    messages: Array  # uint64[(WORDS + 2) * LANES], what is hashed, as `blake2b_8_of_each` has it
    entries: Array  # int64[LANES], whose number it is
    n: Array  # int64[1], how many there are


class Names(NamedTuple):
    """A memo."""

    entry: Array  # uint64[ENTRIES, 4], each where its mark leads to, or behind it where others are
    words: Array  # uint64[TEXT / 8], the bytes of all names,
    text: Array  # uint8[TEXT], and the same memory as bytes
    used: Array  # int64[3], entries; words; objects that were read, by which a key that comes twice is noticed
    message: Array  # uint64[MESSAGE / 8]
    message_text: Array  # uint8[MESSAGE], the same memory
    state: Array  # uint64[8], of the hash
    late: Late


def empty_names() -> Names:
    """Return a memo of no names."""
    words, message = np.zeros(TEXT // 8, np.uint64), np.zeros(MESSAGE // 8, np.uint64)
    entry, used = aligned_zeros(ENTRIES, 4).view(np.uint64), np.zeros(3, np.int64)
    late = Late(np.zeros((WORDS + 2) * LANES, np.uint64), np.zeros(LANES, np.int64), np.zeros(1, np.int64))
    texts = words.view(np.uint8), used, message, message.view(np.uint8), np.zeros(8, np.uint64)
    return Names(entry, words, *texts, late)


@kernel
def make_room(names: Names) -> None:
    """Forget all names where they are many; before a context, as its entries are known by their places."""
    if 0 < names.used[0] < _LIMIT and names.used[1] < 3 * len(names.words) // 4:
        return
    for place in range(len(names.entry)):
        for column in range(4):
            names.entry[place, column] = np.uint64(0)
    names.entry[ROOT, KEY] = _KEY_OF_ROOT
    names.used[0] = 1
    names.used[1] = 0
    names.late.n[0] = 0


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
def write_lower(names: Names, size: int) -> bool:
    """Make the letters of a name under way small; return False where some are not of ASCII."""
    start = 8 * names.used[1]
    for at in range(start, start + size):
        letter = names.text[at]
        if letter >= 128:
            return False
        if 65 <= letter <= 90:
            names.text[at] = np.uint8(letter + 32)
    return True


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
    start = 8 * names.used[1]
    return -1 if size < 0 else find(names, names.text, start, start + size, parent, spaces)


@kernel
def find(names: Names, data: Array, start: int, stop: int, parent: int, spaces: bool) -> int:
    """Return the entry of bytes `start` to `stop` of `data`, at most `MESSAGE` of them, as `lookup` does."""
    return find_marked(names, data, start, stop, parent, spaces, mark_of(names, data, start, stop, parent, spaces))


@kernel
def mark_of(names: Names, data: Array, start: int, stop: int, parent: int, spaces: bool) -> np.uint64:
    """Return the mark of what `find` is asked for, and let its entry be brought near: the memo is large."""
    mark = _key_of(parent, stop - start, spaces) * _SEED
    at = start
    while at < stop:
        mark = (mark ^ some_bytes(data, at, min(stop - at, 8))) * _PRIME
        mark ^= mark >> _29
        at += 8
    fetch(names.entry, signed(mark >> _PLACE_SHIFT))
    return mark


@kernel
def find_marked(names: Names, data: Array, start: int, stop: int, parent: int, spaces: bool, mark: np.uint64) -> int:
    """Return what `find` does of bytes whose mark is known."""
    key = _key_of(parent, stop - start, spaces)
    place = signed(mark >> _PLACE_SHIFT)  # the highest bits, in which all of a product meet
    one_word = stop - start <= 8  # of such there is no other with the same mark
    while names.entry[place, KEY] != _0:
        if (
            names.entry[place, MARK] == mark
            and names.entry[place, KEY] & _KEY_BITS == key
            and (one_word or _is_text(names, signed(names.entry[place, KEY] >> _32), data, start, stop))
        ):
            return place
        place = (place + 1) & (ENTRIES - 1)
    return _remembered(names, data, start, stop, parent, spaces, place, mark)


@kernel
def _is_text(names: Names, first: int, data: Array, start: int, stop: int) -> bool:
    """Tell whether bytes are those that lie in the text from the word `first` on."""
    same = True
    at = start
    while at < stop:
        same &= names.words[first] == some_bytes(data, at, min(stop - at, 8))
        at += 8
        first += 1
    return same


@routine
def _remembered(
    names: Names, data: Array, start: int, stop: int, parent: int, spaces: bool, place: int, mark: np.uint64
) -> int:
    """Return a new entry, at a place that is free; -1 where there is no room for it."""
    first, size = names.used[1], write(names, data, start, stop, 0)
    if size < 0 or names.used[0] >= len(names.entry) - 1:
        return -1
    known_by, done = _kept(names, parent, size, spaces, place)
    if not done:
        return -1
    names.entry[place, MARK] = mark
    names.entry[place, KEY] = np.uint64(first) << _32 | _key_of(parent, size, spaces)
    names.entry[place, KNOWN_BY] = known_by
    names.entry[place, SEEN] = _0
    names.used[0] += 1
    return place


@kernel
def _key_of(parent: int, size: int, spaces: bool) -> np.uint64:
    """Return in 32 bits, of which the highest is set, the size of a part of a name and in which namespace it is."""
    return _USED | np.uint64(size) << np.uint64(17) | np.uint64(2 * parent + (1 if spaces else 0))


@kernel
def whole_of(names: Names, space: int) -> tuple[int, int]:
    """Return where the whole name of a namespace lies in the text, and how many bytes it has."""
    known_by = names.entry[space, KNOWN_BY]
    return signed(known_by >> _32), signed(known_by & _KEY_BITS)


@kernel
def _kept(names: Names, parent: int, size: int, spaces: bool, place: int) -> tuple[np.uint64, bool]:
    """Keep the bytes that were written; return what they are known by, and False where there is no room.

    They are those of the entry at `place`.
    """
    first, n_words = names.used[1], (size + 7) // 8
    whole, whole_size = whole_of(names, parent)
    total = whole_size + size + (1 if not spaces or whole_size else 0)
    if total > MESSAGE:
        return _0, False
    for i in range(whole_size):
        names.message_text[i] = names.text[whole + i]
    behind = whole_size
    if not spaces or whole_size:
        names.message_text[behind] = np.uint8(46 if spaces else 31)
        behind += 1
    for i in range(size):
        names.message_text[behind + i] = names.text[8 * first + i]
    if not spaces:
        names.used[1] = first + n_words
        for i in range(total, min((total + 127) // 128 * 128, MESSAGE)):
            names.message_text[i] = np.uint8(0)
        return _number(names, total, place), True
    end = first + n_words + (total + 7) // 8
    if end >= len(names.words):
        return _0, False
    for i in range(total):
        names.text[8 * (first + n_words) + i] = names.message_text[i]
    names.used[1] = end
    return np.uint64(8 * (first + n_words)) << _32 | np.uint64(total), True


@kernel
def _number(names: Names, size: int, place: int) -> np.uint64:
    """Return the number of the message of an entry, 0 where it is worked out later."""
    if size > BLOCK:
        return blake2b_8(names.message, size, names.state)
    if names.late.n[0] == LANES:
        settle(names)
    late, n = names.late, names.late.n[0]
    for word in range(WORDS):
        late.messages[word * LANES + n] = names.message[word]
    late.messages[SIZES + n] = np.uint64(size)
    late.entries[n] = place
    late.n[0] = n + 1
    return _0


@routine
def settle(names: Names) -> None:
    """Work out what all new features are known by."""
    late = names.late
    if late.n[0] == 0:
        return
    blake2b_8_of_each(late.messages)
    for n in range(late.n[0]):
        names.entry[late.entries[n], KNOWN_BY] = late.messages[NUMBERS + n]
    late.n[0] = 0
