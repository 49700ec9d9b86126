"""Formats of exports, logs of action sets, and logs that are the same to the bit."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from onearm.engine.columns import empty
from onearm.engine.contexts import context_at, pack_context, take_contexts
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.log import gathered
from onearm.engine.vocabulary import LEARN, Columns, Features, Problem

EXPORTS = {"jsonl": jsonl, "parquet": parquet}
SPEC = {"policy": {"name": "ucb1", "params": {"alpha": 1.0}}, "seed": "18446744073709551615"}


def assert_same(found: Columns, wanted: Columns) -> None:
    n, k = len(wanted.kind), wanted.available.shape[1]
    for name, one, other in zip(Columns._fields[:7], found, wanted, strict=False):
        assert one.dtype == other.dtype, name
        assert one.shape == other.shape, name
        assert one.tobytes() == other.tobytes(), name
    np.testing.assert_array_equal(np.broadcast_to(found.available, (n, k)), np.broadcast_to(wanted.available, (n, k)))


KINDS = {"actions": Problem(4, (4, 3)), "named": Problem(4, (4, 64), 50, 30)}


@st.composite
def sets(draw: st.DrawFn) -> tuple[Problem, Columns, list[bytes]]:
    """A log of action sets of 1 to 4 actions, with contexts as bytes too."""
    problem = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, 4), max_size=6))
    masked = draw(st.booleans())
    contexts, masks = [], []
    for k in sizes:
        if problem.nonzeros is None:
            contexts.append(rng.normal(size=(1, k, 3)))
        else:
            start = np.concatenate([[0], np.sort(rng.integers(0, 8, k)), [8]])
            contexts.append(Features(start[np.newaxis], rng.integers(0, 64, 8, np.uint32), rng.normal(size=8)))
        masks.append(rng.permutation(k) > 0 if masked and k > 1 else None)
    context, available = gathered(contexts, masks, problem)
    n = len(sizes)
    columns = empty(2 * n, problem)._replace(context=take_contexts(context, np.repeat(np.arange(n), 2)))
    columns = columns._replace(available=available if len(available) == 1 else np.repeat(available, 2, axis=0))
    columns.kind[1::2], columns.number[:] = LEARN, np.repeat(np.arange(n), 2)
    columns.propensity[:], columns.reward[1::2] = np.repeat(rng.random(n), 2), rng.normal(size=n)
    if n:
        columns.action[:] = np.broadcast_to(columns.available, (2 * n, columns.available.shape[1])).argmax(axis=1)
    return problem, columns, [pack_context(context_at(one, 0), problem) for one in contexts]
