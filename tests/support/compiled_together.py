"""One process runs all tests of one subject.

Two processes run the tests. What they compile they share on disk, but not what both compile at the same time, nor what
is compiled for a test alone.
"""

from __future__ import annotations

from support.subjects import subject_of
from xdist.scheduler import LoadScopeScheduling


class BySubject(LoadScopeScheduling):  # type: ignore[misc]
    """Hand out all tests of a subject at once, to the process that has least left to do."""

    def _split_scope(self, nodeid: str) -> str:
        return subject_of(nodeid)
