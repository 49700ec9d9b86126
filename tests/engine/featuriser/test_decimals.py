"""Short numbers are read eight letters at once: each is that of `float`, and what is none is told to be none."""

from __future__ import annotations

import math
import random
import re

import numpy as np

from onearm.engine.featuriser.decimals import read_decimal

DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")


def test_short_numbers_are_those_of_float_wherever_they_stand() -> None:
    draws, numbers = random.Random(1), 0
    with np.errstate(over="ignore"):
        for _ in range(4000):
            n = draws.randint(0, 10)
            letters = "0123456789" if draws.random() < 0.8 else "0123456789.+-eE:/ \x00\xff"
            text = "".join(draws.choices(letters, k=n)).encode("latin1")
            if draws.random() < 0.6:
                at = draws.randint(0, n)
                text = text[:at] + b"." + text[at:]
            data = np.frombuffer(b"7:" + text + draws.choice([b"", b" 77777777777"]), np.uint8)
            found = read_decimal(data, 2, 2 + len(text))
            if DECIMAL.fullmatch(text):
                numbers += 1
                assert found == float(text) or (b"e" in text.lower() and math.isnan(found)), text
            else:
                assert math.isnan(found), text
    assert numbers > 2000
