"""Which actions a slot may get so that those below it can be filled: compared with all ways to fill a list."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from onearm.api.kinds.lists.filling import left, matching, tight


def ways(masks: list[np.ndarray], begin: tuple[int, ...]) -> set[int]:
    """Return what the next slot gets in all whole lists that begin so."""
    place, k = len(begin), len(masks[0])
    lists = (one for one in permutations(range(k), len(masks)) if one[:place] == begin)
    return {one[place] for one in lists if all(mask[action] for mask, action in zip(masks, one, strict=True))}


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_is_what_some_whole_list_has(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 5)), 5
    masks = [rng.random(k) < rng.choice([0.3, 0.6, 1.0]) for _ in range(n)]
    among = tight(masks)
    found = matching([masks[place] for place in among], np.zeros(k, np.bool_))
    assert (found is not None) == bool(ways(masks, ()))
    if found is None:
        return
    begin: tuple[int, ...] = ()
    for place in range(n):
        taken = np.zeros(k, np.bool_)
        taken[list(begin)] = True
        below = [masks[other] for other in among if other > place]
        free = np.flatnonzero(left(masks[place] & ~taken, below, taken))
        assert set(free.tolist()) == ways(masks, begin)
        assert taken.sum() == place, "what is taken is not changed"
        begin = (*begin, int(rng.choice(free)))
