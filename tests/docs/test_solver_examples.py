"""The worked example saves iterations by few changed lines; what docs/solver.md shows runs and prints what it says."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_readme import ROOT, blocks, wrong

from onearm.api import solver
from onearm.policies import catalog

EXAMPLES = ROOT / "docs" / "examples"
PAGE = ROOT / "docs" / "solver.md"
START = ROOT / "docs" / "start.md"
BLOCKS = blocks(PAGE.read_text())
SAID = re.compile(r"^print\(.*\)  # ([^:]+?)(?::.*)?$", re.MULTILINE)


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_of(path: Path) -> list[str]:
    """The lines of a script, without its docstring, blank lines and comments."""
    code = path.read_text().split('"""', 2)[2]
    return [line.split("  #")[0] for line in code.splitlines() if line.strip()]


def test_three_lines_are_changed_beside_the_import() -> None:
    changes = [
        line
        for line in difflib.ndiff(lines_of(EXAMPLES / "heat_before.py"), lines_of(EXAMPLES / "heat_after.py"))
        if line[0] in "+-"
    ]
    for sign in "+-":
        changed = [line for line in changes if line[0] == sign]
        assert len(changed) == 4 and len([line for line in changed if "import" not in line]) == 3, changes


@pytest.mark.slow
@pytest.mark.jit
def test_the_tuned_heat_solver_finds_the_same_temperatures_in_less_than_half_of_the_iterations() -> None:
    before, iterations_before = example("heat_before").run(24, 700)
    after, iterations_after = example("heat_after").run(24, 700)
    assert np.abs(after - before).max() < 1e-6 * np.abs(before).max() and np.abs(before).max() > 0.01
    assert iterations_after < iterations_before / 2
    assert example("heat_after").run(24, 700)[1] == iterations_after


def test_a_script_says_what_it_took(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("heat_before", "heat_after"):
        monkeypatch.setattr("sys.argv", [name, "4", "3"])
        exec(compile((EXAMPLES / f"{name}.py").read_text(), name, "exec"), {"__name__": "__main__"})
        assert re.fullmatch(r"\d+ iterations, \d+\.\d s\n", capsys.readouterr().out)


def test_every_block_of_the_page_is_run_or_says_why_not() -> None:
    assert [wrong(block) for block in BLOCKS if wrong(block)] == []
    assert sum(block.language == "python" for block in BLOCKS) >= 3


@pytest.mark.jit
def test_the_python_of_the_page_prints_what_it_says() -> None:
    namespace: dict[str, Any] = {"__name__": "solver"}
    said = []
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in (block for block in BLOCKS if block.language == "python"):
            said += SAID.findall(block.text)
            exec(compile("\n" * block.line + block.text, str(PAGE), "exec"), namespace)
    lines = printed.getvalue().splitlines()
    assert [line for line in lines if line in said] == said and len(said) >= 4
    assert "probability now" in printed.getvalue()


def test_names_and_links_of_the_page_exist() -> None:
    page = PAGE.read_text()
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page)
    assert links and [link for link in links if not (PAGE.parent / link).exists()] == []
    named = set(re.findall(r"(?:tests|benchmarks)/[\w/]+\.py", page))
    assert named and [name for name in sorted(named) if not (ROOT / name).exists()] == []
    table = page.partition("## Which tuner")[2].partition("**Grid.**")[0]
    tuners = re.findall(r'^\| `"(\w+)"`', table, re.MULTILINE)
    assert len(tuners) == 4
    for name in tuners:
        solver.Tuner(name, context=(0.0, 1.0))
        if name != "chebcb":  # the page says that it reads a context, and the others that they can do without
            solver.Tuner(name)
    assert {"chebcb", "maillard_chain"} <= set(catalog.names())


@pytest.mark.jit
def test_the_first_steps_take_as_many_iterations_as_they_say() -> None:
    (block,) = (block for block in blocks(START.read_text()) if "solve_sequence" in block.text)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile("\n" * block.line + block.text, str(START), "exec"), {"__name__": "start"})
    assert ", ".join(printed.getvalue().splitlines()) == block.text.rpartition("  # ")[2].strip()
