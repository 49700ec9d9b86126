"""The notebooks of docs/ run from the first cell to the last, and are kept without what they showed."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from test_readme import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
BANNERS = ROOT / "docs" / "notebooks" / "banners.ipynb"


def cells(notebook: Path, kind: str) -> list[str]:
    """Return the texts of the cells of a kind."""
    return ["".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == kind]


def shown(code: str, namespace: dict[str, Any]) -> Any:
    """Run a cell, and return the value of its last expression, as a notebook shows it; None where it ends otherwise."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), namespace)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)


@pytest.mark.jit
@pytest.mark.parametrize("notebook", [one for one in NOTEBOOKS if one != BANNERS], ids=lambda file: file.stem)
def test_notebooks_run_and_show_tables_and_pictures(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_shows(notebook, monkeypatch)


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
def test_so_does_the_one_of_three_thousand_decisions_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python they take 8 s, and so does compiling what makes them, which no other test needs."""
    assert_shows(BANNERS, monkeypatch)


def assert_shows(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a notebook, and look whether it shows tables and a picture."""
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")
    importlib.import_module("polars")  # tables are its, as in a new process: in this one pandas may be in use alone
    namespace: dict[str, Any] = {"__name__": "__main__"}
    values = [value for code in cells(notebook, "code") if (value := shown(code, namespace)) is not None]
    pages = [value._repr_html_() for value in values if hasattr(value, "_repr_html_")]
    assert len(pages) >= 3 and all("<table" in page for page in pages)
    assert any(isinstance(value, Axes) for value in values)
    plt.close("all")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebooks_are_kept_without_what_they_showed(notebook: Path) -> None:
    whole = json.loads(notebook.read_text())
    assert [cell["outputs"] for cell in whole["cells"] if cell["cell_type"] == "code" and cell["outputs"]] == []
    assert [cell["id"] for cell in whole["cells"]] == [f"cell-{i}" for i in range(len(whole["cells"]))]


def test_the_page_on_dataframes_leads_to_every_notebook() -> None:
    page = (ROOT / "docs" / "frames.md").read_text()
    assert NOTEBOOKS and [file.name for file in NOTEBOOKS if f"(notebooks/{file.name})" not in page] == []
