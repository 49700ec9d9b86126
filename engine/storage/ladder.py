"""Which of the states that a log passed are kept, so that a fold from any event on is short.

Of n events about 2 log2 n are, the nearer together the newer: to fold again from one on takes at most about twice the
way back to it, if a state is offered often enough.

>>> thinned([0, 1, 2, 3, 4, 5, 6, 7, 8])
[0, 4, 6, 7, 8]
"""

from __future__ import annotations

from collections.abc import Sequence


def thinned(seqs: Sequence[int]) -> list[int]:
    """Return those of some seqs, in order, that are kept; the first stays, and so do the last two."""
    kept = list(seqs)
    place = 1
    while place < len(kept) - 1:
        if kept[place + 1] - kept[place - 1] <= kept[-1] - kept[place + 1]:
            del kept[place]
        else:
            place += 1
    return kept
