"""Which tests share compiled code: those of one policy, in whatever file, and those of one file."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from onearm.policies import catalog

POLICIES = frozenset(catalog.names())
OUTSIDE = "squall"  # a world of the tests: what is compiled for it is not kept on disk
# These start processes and wait for them, or compile for most of a minute: begun last, they would keep one process busy
# while the other has nothing left.
LONG = (
    "conformance",
    "training",
    "crash",
    "kernel",
    "active_benchmark",
    "query_examples",
    "vector_examples",
    "streaming_benchmark",
    "main_job",
    "outside_policy",
    "label_shift",
)


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
