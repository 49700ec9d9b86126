"""BLAKE2b with a digest of 8 bytes, of short messages: what a feature is known by.

Source: RFC 7693. The same number as `hashlib.blake2b(message, digest_size=8)`, little-endian. Cost: .15 us for up
to 128 bytes, .35 us for `LANES` such messages at once.
"""

from __future__ import annotations

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array

BLOCK = 128  # bytes
WORDS = 16  # of a block
LANES = 8  # messages that are hashed at once: what is done for one of them is an instruction for all
SIZES, NUMBERS = WORDS * LANES, (WORDS + 1) * LANES
_START = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    np.uint64,
)
_PARAMS = np.uint64(0x01010008)  # one leaf, no key, 8 bytes
_ROUNDS = (  # which word is mixed in where
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_32, _24, _16, _63, _40, _48, _1, _0 = (np.uint64(n) for n in (32, 24, 16, 63, 40, 48, 1, 0))
_ALL = ~_0
Four = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
Rows = tuple[Four, Four, Four, Four]


@routine
def blake2b_8(message: Array, size: int, state: Array) -> np.uint64:
    """Return the number of a message of `size` bytes, at least one.

    `message` uint64[n] holds it in little-endian words, with zeros up to a multiple of 128 bytes; `state` uint64[8] is
    written.
    """
    for i in range(8):
        state[i] = _START[i]
    state[0] ^= _PARAMS
    blocks = (size + BLOCK - 1) // BLOCK
    for block in range(blocks):
        last = block == blocks - 1
        h = (state[0], state[1], state[2], state[3]), (state[4], state[5], state[6], state[7])
        read = np.uint64(size if last else (block + 1) * BLOCK)
        a, b, c, d = _mixed(h, read, _ALL if last else _0, message, WORDS * block, 1)
        for i in range(4):
            state[i] ^= a[i] ^ c[i]
            state[i + 4] ^= b[i] ^ d[i]
    return state[0]


@routine
def blake2b_8_of_each(messages: Array) -> None:
    """Work out the numbers of `LANES` messages of 1 to 128 bytes each, as `blake2b_8` returns them.

    Everything lies in one array, uint64[(WORDS + 2) * LANES], so that nothing keeps LLVM from vectors: word w of
    message n, with zeros behind its end, at w * LANES + n; how many bytes it has at SIZES + n; its number, which is
    written, at NUMBERS + n.
    """
    first = _START[0] ^ _PARAMS
    for n in range(LANES):
        h = (first, _START[1], _START[2], _START[3]), (_START[4], _START[5], _START[6], _START[7])
        a, _, c, _ = _mixed(h, messages[SIZES + n], _ALL, messages, n, LANES)
        messages[NUMBERS + n] = first ^ a[0] ^ c[0]


@kernel
def _mixed(h: tuple[Four, Four], read: np.uint64, last: np.uint64, words: Array, at: int, step: int) -> Rows:
    """Mix a block into what the state `h` makes of it; its word w is `words[at + step * w]`, `read` bytes end with it.

    `last` has all bits set where it is the last block, and else none. The rounds are written one by one, for a loop
    would look up at each which words it needs.
    """
    end = (_START[4] ^ read, _START[5], _START[6] ^ last, _START[7])
    v = h[0], h[1], (_START[0], _START[1], _START[2], _START[3]), end
    v = _round(v, words, at, step, _ROUNDS[0])
    v = _round(v, words, at, step, _ROUNDS[1])
    v = _round(v, words, at, step, _ROUNDS[2])
    v = _round(v, words, at, step, _ROUNDS[3])
    v = _round(v, words, at, step, _ROUNDS[4])
    v = _round(v, words, at, step, _ROUNDS[5])
    v = _round(v, words, at, step, _ROUNDS[6])
    v = _round(v, words, at, step, _ROUNDS[7])
    v = _round(v, words, at, step, _ROUNDS[8])
    v = _round(v, words, at, step, _ROUNDS[9])
    v = _round(v, words, at, step, _ROUNDS[0])
    return _round(v, words, at, step, _ROUNDS[1])


@kernel
def _round(v: Rows, words: Array, at: int, step: int, s: tuple[int, ...]) -> Rows:
    """Mix all words in once, in the order `s`."""
    (a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (d0, d1, d2, d3) = v
    a0, b0, c0, d0 = _mix(a0, b0, c0, d0, words[at + step * s[0]], words[at + step * s[1]])
    a1, b1, c1, d1 = _mix(a1, b1, c1, d1, words[at + step * s[2]], words[at + step * s[3]])
    a2, b2, c2, d2 = _mix(a2, b2, c2, d2, words[at + step * s[4]], words[at + step * s[5]])
    a3, b3, c3, d3 = _mix(a3, b3, c3, d3, words[at + step * s[6]], words[at + step * s[7]])
    a0, b1, c2, d3 = _mix(a0, b1, c2, d3, words[at + step * s[8]], words[at + step * s[9]])
    a1, b2, c3, d0 = _mix(a1, b2, c3, d0, words[at + step * s[10]], words[at + step * s[11]])
    a2, b3, c0, d1 = _mix(a2, b3, c0, d1, words[at + step * s[12]], words[at + step * s[13]])
    a3, b0, c1, d2 = _mix(a3, b0, c1, d2, words[at + step * s[14]], words[at + step * s[15]])
    return (a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (d0, d1, d2, d3)


@kernel
def _mix(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, x: np.uint64, y: np.uint64) -> Four:
    a = a + b + x
    d ^= a
    d = (d >> _32) | (d << _32)
    c = c + d
    b ^= c
    b = (b >> _24) | (b << _40)
    a = a + b + y
    d ^= a
    d = (d >> _16) | (d << _48)
    c = c + d
    b ^= c
    b = (b >> _63) | (b << _1)
    return a, b, c, d
