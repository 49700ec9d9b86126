"""The documentation site is built: every page, without a link that leads nowhere, and without asking another host."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkouts import ROOT

SITE = Path("docs", "site")


def built(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout into a folder."""
    if importlib.util.find_spec("zensical") is None:
        pytest.fail("Zensical, which builds the documentation, is not installed: `make docs` installs it")
    command = [sys.executable, str(root / SITE / "build.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    done = built(ROOT, folder / "docs")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "docs" / "html"


@pytest.mark.slow
def test_every_page_is_built_and_can_be_found(site: Path) -> None:
    pages = {
        "index.html",
        "glossary.html",
        "project/readme.html",
        "reference/engines.html",
        "source/engine/loop.py.html",
    }
    pages |= {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} - {"README.html"}
    assert [page for page in sorted(pages) if not (site / page).is_file()] == []
    places = {item["location"].partition("#")[0] for item in json.loads((site / "search.json").read_text())["items"]}
    assert sorted(pages - places) == []


@pytest.mark.slow
def test_the_reference_shows_docstrings_with_shapes_and_examples(site: Path) -> None:
    page = re.sub(r"<[^>]*>", "", (site / "reference" / "evaluation.html").read_text())
    assert "float64[n]" in page and "&gt;&gt;&gt; half = np.full(4, 0.5)" in page
    assert 'id="onearm.open"' in (site / "reference" / "onearm.html").read_text()


@pytest.mark.slow
def test_a_name_that_there_is_not_and_a_lost_heading_end_the_build(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / SITE, root / SITE, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".links").symlink_to(ROOT / ".links")
    (root / "docs" / "README.md").write_text("# Start\n")
    head = "## Vocabulary: one word, one thing\n\n| word | means | not |\n|---|---|---|\n| arm | a choice | |\n"
    (root / "docs" / "architecture.md").write_text(f"# Design\n\n{head}")
    nav = 'nav = [{ "Start" = ["index.md", "architecture.md", "glossary.md", "reference/gym.md"] }]\n'
    config = (root / SITE / "zensical.toml").read_text()
    (root / SITE / "zensical.toml").write_text(
        re.sub(r"^nav = \[\n.*?^\]\n", nav, config, flags=re.MULTILINE | re.DOTALL)
    )
    for page in (root / SITE / "reference").iterdir():
        page.unlink()
    reference = root / SITE / "reference" / "gym.md"

    reference.write_text("# Gym\n\n::: onearm.gym.run\n\n::: onearm.engine.estimate.Diagnostics\n")  # with fields
    done = built(root, tmp_path / "docs")
    assert done.returncode == 0, done.stdout + done.stderr

    reference.write_text("# Gym\n\n::: onearm.gym.walk\n")
    assert built(root, tmp_path / "docs").returncode != 0

    reference.write_text("# Gym\n\n[there](../architecture.md#nowhere)\n")
    done = built(root, tmp_path / "docs")
    assert done.returncode != 0 and "anchor does not exist" in done.stderr
