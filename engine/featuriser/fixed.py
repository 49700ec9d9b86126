"""What is fixed of named features, in Python and in compiled code: limits, and how the number of a product is mixed."""

from __future__ import annotations

import numpy as np

NAME_MAX = 1000  # characters of a key, or of a string; compiled code counts bytes, which are no fewer
DEPTH_MAX = 10
NGRAMS_MAX = 5
VALUE_MAX = 1e15  # the product of two is one that float32 holds: `oracles/second_order.py`

# SplitMix64 (Steele, Lea, Flood 2014): its increment, and the factors and shifts of its finaliser.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
