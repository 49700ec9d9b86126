"""A scheduler of Dask with two workers, which are processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import LocalCluster
from distributed.utils import get_mp_context
from support.forked import copying


@contextmanager
def two_workers() -> Iterator[str]:
    """Yield the scheduler's address. The workers are copies of a process that has imported all: 3 s each otherwise."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context()  # first, as it says what copies have imported, and says less than the next
        copying()
        with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as made:
            yield made.scheduler_address
