"""The probabilities of all actions, which a line of dsjson may have: `p` has them in the order of `a`."""

from __future__ import annotations

import msgspec
import numpy as np

from ....errors import InvalidInput
from ....replay.own_laws import SUM_TOLERANCE
from ....vocabulary import Array
from .blocks import Labels


class _Ranked(msgspec.Struct, gc=False):
    a: list[int] = []  # numbers of actions, from 1
    p: list[float] = []  # of these


_DECODER = msgspec.json.Decoder(_Ranked)


def laws_of(block: bytes, first: int, labels: Labels) -> Array:
    """Return the probability of each action in the lines of `labels`, float64[n, k], 0 behind those that a line has.

    The first line of `block` has the number `first`. Raises `InvalidInput` where a line does not say them all.
    """
    texts = block.split(b"\n")
    law = np.zeros((len(labels.number), int(labels.size.max())))
    rows = zip(*(column.tolist() for column in (labels.number, labels.size)), strict=True)
    for row, (number, size) in enumerate(rows):
        try:
            found = _DECODER.decode(texts[number - first])
        except msgspec.DecodeError:
            raise _no_law(number, size) from None
        if len(found.p) != size or sorted(found.a) != list(range(1, size + 1)):
            raise _no_law(number, size)
        law[row, np.array(found.a) - 1] = found.p
    total, own = law.sum(axis=1), law[np.arange(len(law)), labels.action]
    wrong = (law < 0.0).any(axis=1) | ~(np.abs(total - 1.0) <= SUM_TOLERANCE)
    wrong |= ~(np.abs(own - labels.propensity) <= SUM_TOLERANCE * labels.propensity)
    if wrong.any():
        row = int(wrong.argmax())
        raise InvalidInput(
            "bad_law",
            f"p of line {labels.number[row]} adds up to {total[row]:.6g}, and gives its action {own[row]:.6g}: it must "
            f"make 1, and give what _label_probability says, {labels.propensity[row]:.6g}; leave out --law",
        )
    return law / total[:, np.newaxis]


def _no_law(number: int, size: int) -> InvalidInput:
    return InvalidInput(
        "no_law",
        f"line {number} does not have the probabilities of its {size} actions: a must list them all, from 1, and p be "
        "as long; leave out --law",
    )
