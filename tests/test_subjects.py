"""Who runs which test where two processes share them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.subjects import LONG, LONG_AS_PYTHON, MARKED, POLICIES, TOGETHER, subject_of


@pytest.mark.parametrize(
    ("nodeid", "subject"),
    [
        ("tests/policies/arms/test_ucb1.py::test_regret_is_within_theorem_1", "ucb1"),
        ("tests/parity/test_golden.py::test_golden_decisions_with_the_jit[ucb1]", "ucb1"),
        ("tests/parity/test_interfaces.py::test_compiled_interfaces_agree[linucb-actions]", "linucb"),
        ('tests/parity/test_interfaces.py::test_compiled[optimistic_omd:{"hint":"context"}-tide]', "optimistic_omd"),
        ("tests/parity/test_interfaces.py::test_compiled_interfaces_agree[exp3_ix-squall]", "interfaces"),
        ("tests/engine/solvers/test_sor.py::test_all_counts_are_the_published_ones[0.5]", "sor"),
        ("tests/engine/test_kernel.py::test_a_kernel[ucb1]", "kernel"),
        ("tests/engine/featuriser/test_json_text.py::test_lines[0]", "featuriser"),
        ("tests/engine/trained/test_networks.py::test_compiled_networks", "mapo"),
    ],
)
def test_tests_of_one_policy_have_one_subject_in_whatever_file(nodeid: str, subject: str) -> None:
    assert subject_of(nodeid) == subject


def test_every_long_subject_is_a_file(root: Path) -> None:
    files = {file.stem.removeprefix("test_") for file in (root / "tests").rglob("test_*.py")}
    assert {*LONG, *LONG_AS_PYTHON, *TOGETHER} <= files
    assert {*TOGETHER.values()} <= {*files, *POLICIES}


def test_only_benchmarks_documentation_and_long_runs_are_slow_and_never_the_readme(root: Path) -> None:
    """`make test` leaves out what is marked slow: elsewhere further cases, data sets, and compiled long runs."""
    mark, compiled = "@pytest.mark." + "slow\n", "@pytest.mark." + "jit\n"
    texts = {file: file.read_text() for file in (root / "tests").rglob("test_*.py")}
    slow = {file for file, text in texts.items() if mark in text}
    assert set(MARKED) <= {file.parent.name for file in slow}
    assert {file.relative_to(root / "tests").parts[0] for file in slow} <= {*MARKED, "policies", "envs", "engine"}
    for file in slow:
        whole = texts[file].count(mark) == texts[file].count(mark + compiled)
        assert whole or {file.parent.name, file.parent.parent.name} & {*MARKED, "envs"}, file
    assert "test_readme.py" not in {file.name for file in slow}


def test_a_file_with_tests_marked_jit_says_so_in_its_own_text(root: Path, request: pytest.FixtureRequest) -> None:
    """`conftest.py` leaves out the others where only such tests are asked for: a mark from elsewhere would be lost."""
    texts = {file: file.read_text() for file in (root / "tests").rglob("*.py")}
    mark, other = "mark." + "jit", re.compile(r"(?<!mark)[.]jit\b")
    assert [file.name for file, text in texts.items() if mark in text and not file.name.startswith("test_")] == [
        "conftest.py"
    ]
    assert [file for file, text in texts.items() if other.search(text)] == []
    marked = {file for file, text in texts.items() if mark in text and file.name.startswith("test_")}
    seen = {item.path for item in request.session.items if item.get_closest_marker("jit")}
    assert seen <= marked and len(marked) > 100
