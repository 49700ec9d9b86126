"""The pages of the documentation site before it is built: each is there once, in its place, with links of the site."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from test_readme import ROOT

SITE = ROOT / "docs" / "site"
sys.path.append(str(SITE))

from docstrings import comment_behind, fenced  # noqa: E402
from glossary import anchor, entries, glossary  # noqa: E402
from looked_over import faults  # noqa: E402
from pages import place, with_links_of_the_site, write_pages  # noqa: E402
from search_index import leave_out_fields  # noqa: E402

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
CONFIG = tomllib.loads((SITE / "zensical.toml").read_text())["project"]


def listed(entry: Any) -> list[str]:
    """Return the pages of a part of the navigation, in their order."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in listed(part)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    write_pages(ROOT, folder)
    return folder


def test_the_navigation_has_every_page_once(written: Path) -> None:
    pages = listed(CONFIG["nav"])
    assert sorted(set(pages)) == sorted(pages)
    assert [page for page in pages if not (written / page).is_file()] == []
    found = {file.relative_to(written).as_posix() for file in written.rglob("*.md")}
    # what is reached from pages only: files of code, and the descriptions of data
    assert sorted(page for page in found - set(pages) if not page.startswith(("source/", "project/tests/"))) == []


def test_families_come_in_the_order_of_the_design() -> None:
    table = ARCHITECTURE.partition("\n## The plan\n")[2].partition("\n```")[0]
    families = re.findall(r"\| \[\w+\]\((\w+\.md)\) \|$", table, re.MULTILINE)
    (decided,) = (part["What is decided"] for part in CONFIG["nav"] if "What is decided" in part)
    assert listed(decided)[: len(families)] == families and len(families) == 8


def test_nothing_is_fetched_and_both_themes_are_there() -> None:
    assert CONFIG["theme"]["font"] is False
    assert {palette.get("scheme") for palette in CONFIG["theme"]["palette"]} == {None, "default", "slate"}
    assert "site_url" not in CONFIG and "repo_url" not in CONFIG


def test_a_file_of_the_repository_has_its_place_on_the_site() -> None:
    places = {
        "docs/README.md": "index.md",
        "docs/arms.md": "arms.md",
        "README.md": "project/readme.md",
        "tests/data/obd/README.md": "project/tests/data/obd/readme.md",
        "docs/circle.svg": "project/docs/circle.svg",
        "engine/loop.py": "source/engine/loop.py.md",
        ".pre-commit-config.yaml": "source/pre-commit-config.yaml.md",
    }
    assert {file: place(Path(file)) for file in places} == {
        file: PurePosixPath(target) for file, target in places.items()
    }


def test_links_lead_where_the_files_are_on_the_site(tmp_path: Path) -> None:
    for name in ("README.md", "docs/a.md", "engine/loop.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text\n")
    page = tmp_path / "docs" / "a.md"
    page.write_text(
        "[b](../README.md#over) [c](../engine/loop.py) [d](#here) [e](https://f.g/h.md)\n```\n[x](y.md)\n```\n"
    )
    text, linked = with_links_of_the_site(page, tmp_path)
    assert text.splitlines()[0] == (
        "[b](project/readme.md#over) [c](source/engine/loop.py.md) [d](#here) [e](https://f.g/h.md)"
    )
    assert "[x](y.md)" in text and linked == {tmp_path / "README.md", tmp_path / "engine" / "loop.py"}
    page.write_text("[gone](gone.md)")
    with pytest.raises(SystemExit, match=r"docs/a\.md links to gone\.md, which is no file"):
        with_links_of_the_site(page, tmp_path)


def test_the_glossary_has_each_word_of_the_one_table(written: Path) -> None:
    rows = entries(ARCHITECTURE)
    page = (written / "glossary.md").read_text()
    assert len(rows) > 120 and {"propensity", "arm", "regret"} <= {word for word, *_ in rows}
    assert len({anchor(word) for word, *_ in rows}) == len(rows)
    assert "## arm {#arm}\n\nOne of k numbered choices; ids live at the HTTP edge." in page  # a heading: search has it
    words = re.findall(r"^## (.+?) \{#", page, re.MULTILINE)
    assert len(words) == len(rows)
    assert words == sorted(words, key=str.casefold)
    assert "glossary.md" in (written / "index.md").read_text()
    with pytest.raises(SystemExit, match="has no table"):
        glossary("# A page without one\n")


def test_search_finds_classes_and_functions_and_no_fields(tmp_path: Path) -> None:
    index = tmp_path / "search.json"
    field = {"location": "reference/a.html#A.arm", "title": "arm", "text": "<pre><code>arm: int\n</code></pre>"}
    call = {
        "location": "reference/a.html#ask",
        "title": "ask",
        "text": "<pre><code>ask(arm: int) -> int\n</code></pre>",
    }
    word = {"location": "glossary.html#arm", "title": "arm", "text": "<p>One of k.</p>"}
    index.write_text(json.dumps({"config": {"lang": ["en"]}, "items": [field, call, word]}))
    leave_out_fields(index)
    assert json.loads(index.read_text()) == {"config": {"lang": ["en"]}, "items": [call, word]}
    with pytest.raises(SystemExit, match="has no field"):
        leave_out_fields(index)


def test_a_field_has_the_comment_behind_it_and_examples_are_blocks() -> None:
    lines = [
        "class A:",
        "    x: Array  # float64[d], the point",
        "    # that was decided",
        '    y: str = "#"',
        "    z: int",
    ]
    assert comment_behind(lines, 1, 2) == "float64[d], the point that was decided"
    assert comment_behind(lines, 3, 4) == comment_behind(lines, 4, 5) == ""
    assert fenced("Do.\n\n>>> f(1)\n2\n\nMore.") == "Do.\n\n```pycon\n>>> f(1)\n2\n```\n\nMore."
    assert fenced("Do.\n\nSource: A.\nAssumes: b.") == "Do.\n\nSource: A.  \nAssumes: b."


def test_what_is_wrong_with_a_page_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#there">b</a> <a href="b.html#gone">b</a> <a href="c.html">c</a>'
        '<a href="#top">a</a> <a href="https://elsewhere.example/">a link</a> <a href="/b.html">b</a>'
        '<img src="https://elsewhere.example/i.png"><script src="//elsewhere.example/s.js"></script>'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p><style>@import "https://elsewhere.example/s.css"</style>')
    (tmp_path / "s.css").write_text("@font-face { src: url(https://elsewhere.example/f.woff) } a { b: url(i.png) }")
    assert faults(tmp_path) == [
        "a.html makes a browser ask another host: //elsewhere.example/s.js",
        "a.html leads to b.html#gone: that page has no such heading",
        "a.html leads to c.html: there is no such file",
        "a.html makes a browser ask another host: https://elsewhere.example/i.png",
        "b.html makes a browser ask another host: https://elsewhere.example/s.css",
        "s.css asks another host: https://elsewhere.example/f.woff",
    ]
