"""What tests are about: which share compiled code (of one policy, in whatever file, or of one file), which a mark."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from onearm.policies import catalog

POLICIES = frozenset(catalog.names())
OUTSIDE = "squall"  # a world of the tests: what is compiled for it is not kept on disk
# Files of which one compiles what the other compiles, or nearly: the second takes 3 s of CPU less in the same process.
TOGETHER = {
    "sent_actions": "featuriser",
    "json_text": "featuriser",
    "vw_lines": "featuriser",
    "networks": "mapo",
    "replay_command": "evaluate_command",
    "largest": "thompson_beta",
    "largest_beta": "thompson_beta",
}
# These start processes and wait for them, or compile for long: begun last, they would keep one process busy while the
# other has nothing left. Those that take longest come first.
LONG = (
    "conformance",
    "crash",
    "kernel",
    "maillard_chain",
    "fourier_ucb",
    "fourier_softmax",
    "logistic_thompson",
    "linear_thompson",
    "linucb",
    "bag",
    "training",
    "featuriser",
    "main_job",
    "query_examples",
    "outside_policy",
    "pages",  # after maillard_chain, which start.md has decide 1500 times: 12 s less where its code is on disk
)
# The same of the tests that are run as Python, of which one process runs a file as a whole: the first of these wait for
# processes and clocks, and what computes fills that time.
LONG_AS_PYTHON = (
    "workers",  # 35 s of CPU, and as many processes that are waited for
    "connections",
    "crash",
    "nodes",
    "starting",
    "killed_windows",
    "killed_arrivals",
    "killed_erasures",
    "killed_deletions",
    "killed_compactions",
    "corrections_crash",
    "stream_crash",
    "query_crash",
    "platforms",
    "package",
    "light",
    "copies",
    "deploy",
    "end_of_service",
    "keys_command",
    "conformance",
    "old_logs",
    "arm_policies",
    "doctests",
    "interfaces",
    "policies_of_one",
    "openapi",
)
MARKED = ("benchmarks", "browser", "docs", "release")  # folders whose tests carry a mark of that name


def subject_of(nodeid: str) -> str:
    """Return the policy of a test, or else its file, or what its file has in common with others."""
    stem = _stem(nodeid)
    if stem in TOGETHER:
        return TOGETHER[stem]
    if stem in LONG or OUTSIDE in _words(nodeid):
        return stem
    return next(iter(policies_given(nodeid)), stem)


def policies_given(nodeid: str) -> list[str]:
    """Return the policies that a test is given by name."""
    return [word for word in _words(nodeid) if word in POLICIES]


def without_policies(nodeid: str) -> str:
    """Return the name of a test without the names of policies that it is given: those of one setting have the same."""
    test, _, given = nodeid.partition("[")
    return f"{test}[{re.sub('[a-z0-9_]+', lambda word: '' if word[0] in POLICIES else word[0], given)}"


def policy_of_file(nodeid: str) -> str | None:
    """Return the policy that a file in tests/policies/ is named for, if any."""
    stem = _stem(nodeid)
    return stem if stem in POLICIES and nodeid.startswith("tests/policies/") else None


def _stem(nodeid: str) -> str:
    return PurePosixPath(nodeid.partition("::")[0]).stem.removeprefix("test_")


def _words(nodeid: str) -> list[str]:
    """Return the words in the brackets of a test's name."""
    return re.split(r"[^a-z0-9_]", nodeid.partition("::")[2].partition("[")[2])


def mark_by_folder(items: list[pytest.Item]) -> None:
    """Mark what only tests benchmarks, or runs documentation: `-m "not docs"` leaves it out."""
    for item in items:
        if item.path.parent.name in MARKED:
            item.add_marker(item.path.parent.name)


def long_first(items: list[pytest.Item], long: tuple[str, ...]) -> None:
    """Put the tests of long subjects first, or those of long files, and leave the others as they are."""
    subject = subject_of if long is LONG else _stem
    place = {name: i for i, name in enumerate(long)}
    items.sort(key=lambda item: place.get(subject(item.nodeid), len(long)))
