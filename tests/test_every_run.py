"""What every run of the tests tries, and what is left to `make test-all`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.every_run import AS_PYTHON, REPRESENTATIVES, cover, every_run, mark_further, written
from support.kinds.arms import NAMES, contexts_of, with_features
from support.subjects import policies_given, policy_of_file

from onearm.engine.compiled import stamp
from onearm.policies import catalog

KERNELS = re.compile(r"^@(?:kernel|routine|loop)\b", re.MULTILINE)


def kernels_of(name: str) -> set[Path]:
    """Return the files of kernels in engine/ that a policy's file reaches."""
    files = stamp.reached([catalog.factory(name).__module__])
    return {file for file in files if file.is_relative_to(stamp.ROOT / "engine") and KERNELS.search(file.read_text())}


def test_every_file_of_kernels_that_policies_share_is_compiled_in_every_run() -> None:
    shared = {name: kernels_of(name) for name in catalog.names()}
    assert len(set().union(*shared.values())) > 40
    compiled = set(REPRESENTATIVES) - set(AS_PYTHON)
    left = set().union(*shared.values()) - set().union(*(shared[name] for name in compiled))
    assert left == set(), "add a policy that calls these kernels to REPRESENTATIVES, and not to AS_PYTHON"
    assert set(AS_PYTHON) < set(REPRESENTATIVES)


def test_a_policy_of_every_family_is_compiled_in_every_run() -> None:
    family = {name: catalog.factory(name).__module__.split(".")[-2] for name in catalog.names()}
    assert {family[name] for name in REPRESENTATIVES if name not in AS_PYTHON} == set(family.values())
    assert {name for name, room in family.items() if room == "wrappers"} <= set(REPRESENTATIVES)


@pytest.mark.parametrize(
    ("nodeid", "given", "own"),
    [
        ("tests/policies/arms/test_ucb1.py::test_regret_is_within_theorem_1", [], "ucb1"),
        ("tests/parity/test_golden.py::test_golden_decisions_with_the_jit[bag]", ["bag"], None),
        ('tests/parity/test_interfaces.py::test_all[floor:{"policy":"ucb1"}-tide]', ["floor", "ucb1"], None),
        ("tests/policies/contexts/test_explorers.py::test_contexts_are_used[3-bag]", ["bag"], None),
        ("tests/engine/test_budget.py::test_all_counts_are_the_published_ones[0.5]", [], None),
    ],
)
def test_policies_of_a_test_are_known_by_name(nodeid: str, given: list[str], own: str | None) -> None:
    assert (policies_given(nodeid), policy_of_file(nodeid)) == (given, own)


def test_of_a_matrix_every_run_tries_what_is_kept() -> None:
    values, pairs = every_run("abc", "b"), every_run([("a", 1), ("b", 2)], [("b", 2)])
    assert [value if isinstance(value, str) else (value.values, value.marks[0].name) for value in values] == [
        (("a",), "slow"),
        "b",
        (("c",), "slow"),
    ]
    assert (pairs[0].values, pairs[1]) == (("a", 1), ("b", 2))


def test_policies_of_contexts_are_tried_with_features_and_those_of_arms_without_too() -> None:
    kept = with_features([(name, context) for name in NAMES for context in contexts_of(name)])
    assert {name for name, _ in kept} == set(NAMES)
    family = {name: catalog.factory(name).__module__.split(".")[-2] for name in NAMES}
    plain = {family[name] for name, context in kept if context == "none"}
    assert "arms" in plain and "contexts" not in plain
    assert with_features([("bag", "none"), ("ucb1", "dense")]) == [("bag", "none"), ("ucb1", "dense")]


def test_what_is_kept_and_is_no_case_is_told() -> None:
    with pytest.raises(AssertionError, match=r"\['d'\] are to be tried in every run, and are no cases"):
        every_run("abc", ["d"])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with two commits, of which the second wrote one of two policies."""
    (tmp_path / "policies" / "arms").mkdir(parents=True)
    commands(tmp_path, "init -q")
    for name in ("before", "committed"):
        (tmp_path / "policies" / "arms" / f"{name}.py").touch()
        commands(tmp_path, "add -A", f"commit -q -m {name}")
    return tmp_path


def commands(folder: Path, *lines: str) -> None:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for line in lines:
        subprocess.run(["git", *own, *line.split()], cwd=folder, check=True)


def test_policies_that_were_just_written_are_compiled(repository: Path) -> None:
    assert written(repository) == {"committed"}
    (repository / "policies" / "arms" / "new.py").touch()
    (repository / "policies" / "arms" / "before.py").write_text("x = 1\n")
    assert written(repository) == {"before", "committed", "new"}


def test_without_git_none_was_just_written(tmp_path: Path) -> None:
    assert written(tmp_path) == set()


class Item:
    """What `mark_further` asks of a test."""

    def __init__(self, nodeid: str, *marks: str) -> None:
        self.nodeid, self.marks = nodeid, [*marks]

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None

    def add_marker(self, name: str) -> None:
        self.marks.append(name)


def marked(repository: Path, *items: Item) -> list[str]:
    """Return what of tests is marked slow."""
    mark_further(items, repository)  # type: ignore[arg-type]
    return [item.nodeid.partition("[")[2].rstrip("]") or item.nodeid for item in items if "slow" in item.marks]


def test_compiled_representatives_are_tried_and_what_was_just_written(repository: Path) -> None:
    (repository / "policies" / "arms" / "regcb.py").touch()
    golden = "tests/parity/test_golden.py::test_golden"
    items = [Item(f"{golden}[{name}]", "jit") for name in ("ucb1", "bag", "regcb", "fastcb")]
    others = [Item("tests/engine/test_draws.py::test_bits", "jit"), Item(f"{golden}_without[bag]")]
    assert marked(repository, *items, *others) == ["bag", "fastcb"]
    own = [Item(f"tests/policies/arms/test_{name}.py::test_bits", "jit") for name in ("ucb1", "moss", "regcb")]
    assert marked(repository, *own) == ["tests/policies/arms/test_moss.py::test_bits"]


def test_as_python_a_policy_is_tried_and_of_interfaces_the_representatives(repository: Path) -> None:
    names = ("bag", "ucb1", "fastcb")
    assert marked(repository, *(Item(f"tests/conformance/test_all.py::test[{name}]") for name in names)) == []
    assert marked(repository, Item("tests/policies/arms/test_moss.py::test_bits")) == []
    assert marked(repository, *(Item(f"tests/api/test_open.py::test[{name}]") for name in names)) == ["bag", "fastcb"]


def test_every_setting_is_tried(repository: Path) -> None:
    named = "tests/api/test_open.py::test"
    asked = [Item(f"{named}[{case}]") for case in ("bag-one", "ucb1-one", "bag-two", "fastcb-two", "three")]
    assert marked(repository, *asked) == ["bag-one", "fastcb-two"]


def test_of_what_is_tried_as_python_each_setting_is_compiled_once(
    repository: Path,
) -> None:
    golden, named = "tests/parity/test_golden.py::test_golden", "tests/parity/test_interfaces.py::test"
    asked = [Item(f"{golden}[{name}]", "jit") for name in ("sticky", "ucb1", "split")]
    others = [Item(f"{named}[{case}]", "jit") for case in ("bag-one", "sticky-one", "split-one", "split-two")]
    own = Item("tests/policies/wrappers/test_sticky.py::test_bits", "jit")
    assert marked(repository, *asked, *others, own) == ["sticky", "split", "bag-one", "split-one"]
    (repository / "policies" / "arms" / "split.py").touch()
    assert marked(repository, *(Item(item.nodeid, "jit") for item in asked)) == ["sticky"]


def test_without_a_representative_the_first_case_is_tried(repository: Path) -> None:
    """A word may be another thing's name as well: a law is `uniform`."""
    draws = [Item(f"tests/engine/test_draws.py::test_law[{law}]", "jit") for law in ("uniform", "softmax", "normal")]
    assert marked(repository, *draws) == ["softmax"]


class Case(Item):
    """The same of a case with params."""

    def __init__(self, *marks: str, **params: Any) -> None:
        super().__init__(f"tests/test_a.py::test_b[{'-'.join(map(str, params.values()))}]", *marks)
        self.callspec = SimpleNamespace(params=params)


def left_out(*items: Item) -> list[str]:
    """Return what of tests is left to `make test-all` as no value of it is new."""
    cover(items)  # type: ignore[arg-type]
    return [item.nodeid.partition("[")[2].rstrip("]") for item in items if "slow" in item.marks]


def test_of_a_product_every_value_is_tried_and_not_each_with_each() -> None:
    product = [Case("covering", policy=policy, world=world) for policy in "abcd" for world in "xy"]
    assert left_out(*product) == ["a-y", "b-x", "c-y", "d-x"]
    assert left_out(*(Case(policy=policy, world=world) for policy in "ab" for world in "xy")) == []


def test_what_is_slow_anyway_shows_no_value() -> None:
    product = [Case("covering", policy=policy, world=world) for policy in "ab" for world in "xy"]
    product[0].add_marker("slow")
    assert left_out(*product) == ["a-x", "b-y"]


def test_values_without_a_hash_are_told_apart() -> None:
    params: list[dict[str, float]] = [{}, {}]
    assert left_out(*(Case("covering", name=name, params=params[i]) for i, name in enumerate("aa"))) == []
