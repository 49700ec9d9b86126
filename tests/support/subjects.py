"""What tests are about: which share compiled code (of one policy, in whatever file, or of one file), which a mark."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from onearm.policies import catalog

POLICIES = frozenset(catalog.names())
OUTSIDE = "squall"  # a world of the tests: what is compiled for it is not kept on disk
# These start processes and wait for them, or compile for long: begun last, they would keep one process busy while the
# other has nothing left. Those that take longest come first.
LONG = (
    "conformance",
    "crash",
    "kernel",
    "fourier_ucb",
    "fourier_softmax",
    "logistic_thompson",
    "linear_thompson",
    "linucb",
    "maillard_chain",
    "bag",
    "pages",
    "training",
    "main_job",
    "query_examples",
    "outside_policy",
)
MARKED = ("benchmarks", "docs")  # folders whose tests carry a mark of that name


def subject_of(nodeid: str) -> str:
    """Return the policy that a test is given by name, or else its file: in tests/policies/ it is named for a policy."""
    file, _, test = nodeid.partition("::")
    subject = PurePosixPath(file).stem.removeprefix("test_")
    given = re.split(r"[^a-z0-9_]", test.partition("[")[2])
    if subject in LONG or OUTSIDE in given:
        return subject
    return next((word for word in given if word in POLICIES), subject)


def mark_by_folder(items: list[pytest.Item]) -> None:
    """Mark what only tests benchmarks, or runs documentation: `-m "not docs"` leaves it out."""
    for item in items:
        if item.path.parent.name in MARKED:
            item.add_marker(item.path.parent.name)


def long_first(items: list[pytest.Item]) -> None:
    """Put the tests of long subjects first, and leave the others as they are."""
    items.sort(key=lambda item: LONG.index(subject) if (subject := subject_of(item.nodeid)) in LONG else len(LONG))
