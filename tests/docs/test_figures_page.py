"""docs/figures.md holds every table that a benchmark wrote, with its machine and day, and a picture of each paper."""

from __future__ import annotations

import re

import pytest
from test_readme import ROOT

PAGE = (ROOT / "docs" / "figures.md").read_text()
TABLE = re.compile(r"<!-- table:([\w-]+) -->\n(.*?)<!-- /table -->", re.DOTALL)
TABLES = dict(TABLE.findall(PAGE))
OF_SEVERAL = {"short"}  # lines of the README, each out of one of these tables


def test_every_table_of_every_page_is_there() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    written = {name for page in pages for name, _ in TABLE.findall(page.read_text())}
    assert len(written) > 25 and written - OF_SEVERAL == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_its_machine_day_and_commit(name: str) -> None:
    measured = r"^Measured on \d{4}-\d\d-\d\d at [0-9a-f]{7,}(-dirty)?: .+, \d+ cores, python [\d.]+, numpy [\d.]+"
    assert re.search(measured, TABLES[name], re.MULTILINE)


@pytest.mark.parametrize("paper", ["States", "Streams", "Solvers", "Vectors", "Queries"])
def test_there_is_a_picture_of_each_paper(paper: str) -> None:
    section = PAGE.partition(f"\n## {paper}\n")[2].partition("\n## ")[0]
    pictures = re.findall(r"^!\[.+\]\((\.\./benchmarks/results/\w+\.svg)\)$", section, re.MULTILINE)
    assert pictures and all((ROOT / "docs" / picture).is_file() for picture in pictures)
    assert section.index("![") < section.index("\n| ")  # before the numbers
