"""A table of laws, asked like a network: `outputs` writes the logarithms of its laws (`engine/trained/networks.py`).

Where the budget is answered there is no query left to ask, and all are alike; so is every hypothesis beyond it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..elementary import log
from ..kernel import kernel
from ..vocabulary import Array
from .networks import register_network
from .tables import TablePolicy, binomials, table_row


class Tabulated(NamedTuple):
    """A `TablePolicy` as the kernel reads it."""

    signs: bool  # answers are -1 and 1, and not 0 and 1
    sums: Array  # int64[2 n, T + 1], what `table_row` adds up
    query: Array  # float64[s, n]
    recommendation: Array  # float64[s', m]


class TabulatedWork(NamedTuple):
    """Working space, for a field of a state whose name begins with `scratch_`, and what is written."""

    up: Array  # int64[n] answers that are 1
    logits: Array  # float64[n] of the queries
    scores: Array  # float64[m] of the hypotheses


def tabulated(policy: TablePolicy) -> Tabulated:
    """Return a table as the kernel reads it."""
    sums = binomials(policy.task.n_queries, policy.budget)
    query, recommendation = (np.ascontiguousarray(law, np.float64) for law in (policy.query, policy.recommendation))
    return Tabulated(policy.task.answers == "signs", sums, query, recommendation)


def tabulated_work(table: Tabulated) -> TabulatedWork:
    """Return working space."""
    n, m = table.query.shape[1], table.recommendation.shape[1]
    return TabulatedWork(np.zeros(n, np.int64), np.zeros(n), np.zeros(m))


@kernel
def table_outputs(table: Tabulated, visits: Array, count: Array, total: Array, work: TabulatedWork) -> None:
    """Write the logarithms of the laws in this state, -inf for what is never done. Pending queries do not count."""
    answered = 0
    for i in range(len(count)):
        answered += count[i]
        up = 0.5 * (total[i] + count[i]) if table.signs else total[i]
        work.up[i] = min(max(int(up + 0.5), 0), count[i])  # a wrong answer must not lead out of the table
    budget = table.sums.shape[1] - 1
    row = table_row(table.sums, count, work.up) if answered <= budget else 0
    for i in range(len(work.logits)):
        work.logits[i] = log(table.query[row, i]) if answered < budget else 0.0
    for k in range(len(work.scores)):
        work.scores[k] = log(table.recommendation[row, k]) if answered <= budget else 0.0


register_network(Tabulated, table_outputs)
