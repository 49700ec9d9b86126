"""What the tests of spread work share: a scheduler of Dask with two workers, and a way to run commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from distributed import LocalCluster


@pytest.fixture(scope="session")
def dask_address() -> Iterator[str]:
    """Return the address of a scheduler whose two workers are processes of their own."""
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address
