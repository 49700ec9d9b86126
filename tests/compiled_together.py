"""Which tests share compiled code: those of one policy, in whatever file, and those of one file.

Two processes run the tests. What they compile they share on disk, but not what both compile at the same time, nor what
is compiled for a test alone: so one process runs all tests of one subject.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

from onearm.policies import catalog

POLICIES = frozenset(catalog.names())
OUTSIDE = "squall"  # a world of the tests: what is compiled for it is not kept on disk
# These start processes and wait for them, or compile for most of a minute: begun last, they would keep one process busy
# while the other has nothing left.
LONG = (
    "training",
    "crash",
    "kernel",
    "active_benchmark",
    "active_examples",
    "vector_examples",
    "streaming_benchmark",
    "main_job",
    "outside_policy",
    "label_shift",
)


class BySubject(LoadScopeScheduling):  # type: ignore[misc]
    """Hand out all tests of a subject at once, to the process that has least left to do."""

    def _split_scope(self, nodeid: str) -> str:
        return subject_of(nodeid)


def subject_of(nodeid: str) -> str:
    """Return the policy that a test is given by name, or else its file: in tests/policies/ it is named for a policy."""
    file, _, test = nodeid.partition("::")
    subject = PurePosixPath(file).stem.removeprefix("test_")
    given = re.split(r"[^a-z0-9_]", test.partition("[")[2])
    if subject in LONG or OUTSIDE in given:
        return subject
    return next((word for word in given if word in POLICIES), subject)


def long_first(items: list[pytest.Item]) -> None:
    """Put the tests of long subjects first, and leave the others as they are."""
    items.sort(key=lambda item: LONG.index(subject) if (subject := subject_of(item.nodeid)) in LONG else len(LONG))
