"""Golden digests: compiled and in plain Python every policy decides what golden.json holds for its version."""

from __future__ import annotations

from pathlib import Path

import golden
import pytest
from support.every_run import AS_PYTHON, REPRESENTATIVES, every_run
from support.quadratures import BY_QUADRATURE

from onearm.policies import catalog as policies

pytestmark = pytest.mark.usefixtures("few_cosines", "witness_in_the_catalogue")


# As Python these begin alike in every run, and go on in `make test-all`: those whose whole course is played compiled in
# every run, and those whose law is a quadrature.
BRIEFLY = {*REPRESENTATIVES} - {*AS_PYTHON} | {*BY_QUADRATURE}
LONG = [name for name, known in golden.read().items() if known["beginning"]]
BEGUN = [name for name in LONG if name in BRIEFLY]


def assert_golden(name: str) -> None:
    wrong = golden.difference(name, golden.read().get(name), golden.entry(golden.specimen(name)))
    assert wrong is None, wrong


@pytest.mark.parametrize("name", every_run(policies.names(), [name for name in policies.names() if name not in BEGUN]))
def test_golden_decisions_without_the_jit(name: str) -> None:
    assert_golden(name)


@pytest.mark.parametrize("name", BEGUN)
def test_golden_decisions_begin_alike_without_the_jit(name: str) -> None:
    wrong = golden.difference(name, golden.read().get(name), golden.first_of_entry(golden.specimen(name)))
    assert wrong is None, wrong


@pytest.mark.jit
@pytest.mark.parametrize("name", policies.names())
def test_golden_decisions_with_the_jit(name: str) -> None:
    """The same file for both: compiled and plain Python decide the same, to the bit."""
    assert_golden(name)


def test_golden_holds_no_policy_that_is_gone() -> None:
    assert sorted([*golden.read(), "witness"]) == policies.names()


def test_a_change_of_bits_without_a_new_version_is_refused() -> None:
    now = {"version": 1, "decisions": "b", "state": "s"}
    assert golden.difference("ucb1", dict(now), now) is None
    assert "does not know" in str(golden.difference("ucb1", None, now))
    assert "bump `version` in policies/arms/ucb1.py" in str(golden.difference("ucb1", now | {"decisions": "a"}, now))
    assert "decisions and state of" in str(golden.difference("ucb1", now | {"decisions": "a", "state": "t"}, now))
    assert "run `python tests/golden.py`" in str(golden.difference("ucb1", now | {"version": 0}, now))


def test_rewriting_keeps_the_entry_of_a_policy_that_changed_without_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golden, "FILE", tmp_path / "golden.json")
    monkeypatch.setattr(golden, "STEPS", 10)
    monkeypatch.setattr(policies, "names", lambda: ["ucb1", "uniform"])
    golden.FILE.write_text('{"ucb1": {"version": 1, "decisions": "a", "state": "s"}, "gone": {}}')
    assert golden.main() == 1
    written = golden.read()
    assert written["ucb1"]["decisions"] == "a"
    assert list(written) == ["ucb1", "uniform"]
    assert "bump `version`" in capsys.readouterr().err
    golden.FILE.write_text('{"ucb1": {"version": 0, "decisions": "a", "state": "s"}}')
    assert golden.main() == 0
    assert golden.main() == 0
    assert golden.read()["uniform"] == written["uniform"]
