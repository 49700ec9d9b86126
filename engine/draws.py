"""Keyed randomness: a draw is a pure function of (run, t, i).

Source: Philox4x32-10, Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
The Philox key is the 64-bit run key, the counter is (t low, t high, i, attempt). No generator state exists: a retried
decision is the same decision.
"""

from __future__ import annotations

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.vocabulary import Key

POLICY, NATURE = 0, 1
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@kernel
def philox(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the four 32-bit words of Philox4x32-10, each in a uint64, for counter c0..c3 and key k0, k1 (32 bits each)."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@kernel
def words(key: Key, i: int, attempt: int) -> tuple[np.uint64, np.uint64]:
    """Return two uint64: the block of draw i, attempt `attempt` (samplers that reject count attempts)."""
    t = np.uint64(key.t)
    run = np.uint64(key.run)
    a, b, c, d = philox(
        t & _LOW, t >> _32, np.uint64(i), np.uint64(attempt), run & _LOW, run >> _32
    )
    return a | (b << _32), c | (d << _32)


@kernel
def unit(word: np.uint64) -> float:
    """Turn 64 random bits into a float64 in [0, 1): the top 53 bits."""
    return np.float64(word >> _11) * 2.0**-53


@kernel
def uniform(key: Key, i: int) -> float:
    """Return the i-th draw from U[0, 1)."""
    return unit(words(key, i, 0)[0])


def run_key(seed: int, replication: int, role: int) -> np.uint64:
    """Return the 64-bit key of one run: of (seed, replication) for the policy (0) or nature (1).

    >>> int(run_key(1, 0, POLICY)) != int(run_key(1, 0, NATURE))
    True
    """
    low, high = seed & 0xFFFFFFFF, seed >> 32
    word = [np.uint64(x) for x in (low, high, replication, role, 0x6F6E6561, 0x726D)]
    a, b, _, _ = philox(*word)
    return np.uint64(int(a) | int(b) << 32)
