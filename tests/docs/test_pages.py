"""The pages of docs/ and CONTRIBUTING.md lead somewhere, and what the first pages show runs."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import golden
import pytest
from support.every_run import every_run
from test_readme import ROOT, TOLD, blocks, commands, wrong

from onearm.api.cli.main import run

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
SHOWN = [
    ROOT / "docs" / f"{name}.md"
    for name in (
        "start",
        "arms",
        "contexts",
        "changes",
        "constraints",
        "lists",
        "states",
        "durable",
        "deploy",
        "logs",
        "nodes",
        "sweeps",
        "brokers",
        "frames",
    )
]
ELSEWHERE = {  # a test of its own runs the Python and the commands of these
    "README": "docs/test_readers.py",
    "client": "docs/test_client_page.py",
    "evaluation": "docs/test_evaluation_page.py",
    "for-data-scientists": "docs/test_readers.py",
    "for-numerical-analysts": "docs/test_readers.py",
    "for-researchers": "docs/test_readers.py",
    "for-web-developers": "docs/test_readers.py",
    "from-optuna": "docs/test_moving_in.py",
    "from-personalizer": "docs/test_moving_in.py",
    "from-vowpal-wabbit": "docs/test_moving_in.py",
    "http": "api/http/test_http_page.py",
    "queries": "docs/test_query_examples.py",
    "solver": "docs/test_solver_examples.py",
    "streams": "docs/test_stream_page.py",
    "table-to-service": "docs/test_table_page.py",
    "vectors": "docs/test_vector_examples.py",
}
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(  # what a line prints; of other comments, in words, no test knows whether they are true
    r"^print\(.*\)  # ((?:[-\d\[('{]|True|False|None).*?)(?:: .*)?$", re.MULTILINE
)
NAMED = re.compile(r"`((?:engine|policies|envs|api|tests|docs|benchmarks|build_backend)/[\w/]+(?:\.\w+)?)`")
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def anchors(page: Path) -> set[str]:
    """Return what a link into a page may name: its headings, as GitHub writes them."""
    heads = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in LINK.findall(FENCED.sub("", page.read_text())):
        if "://" in file:
            continue
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name} points to {file}, which does not exist"
        assert not anchor or anchor in anchors(target), f"{page.name} points to {file}#{anchor}: no such heading"


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ARCHITECTURE, *SHOWN], ids=lambda page: page.name
)
def test_files_that_a_page_names_exist(page: Path) -> None:
    assert [name for name in NAMED.findall(page.read_text()) if not (ROOT / name).exists()] == []


def planned(page: str) -> list[str]:
    """Return every path that the plan of a page names: in its table, and in its tree, where files follow a folder."""
    plan = page.partition("\n## The plan\n")[2].partition("\n## ")[0]
    table, _, tree = plan.partition("\n```text\n")
    paths, folder = NAMED.findall(table), ""
    for line in tree.partition("\n```")[0].splitlines():
        names = re.split(r"\s{2,}|(?<=\.py) ", line.strip())[0].split(", ")
        folder = folder if line.startswith(" ") else names[0]
        paths += [folder + name for name in names] if line.startswith(" ") else names
    return paths


def test_the_plan_names_what_is_there() -> None:
    paths = planned(ARCHITECTURE.read_text())
    assert len(paths) > 100
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [path for path in paths if (ROOT / path).is_dir() != path.endswith("/")] == []


def test_the_plan_names_every_folder_of_the_package() -> None:
    rooms = ("engine", "policies", "envs", "api")
    files = (file for room in rooms for file in (ROOT / room).rglob("__init__.py"))
    folders = {f"{file.parent.relative_to(ROOT).as_posix()}/" for file in files}
    assert sorted(folders - set(planned(ARCHITECTURE.read_text()))) == []


def test_a_path_of_the_plan_is_its_folder_and_its_name() -> None:
    page = """# A page

## The plan

| `engine/laws/` |

```text
engine/             the core
    loop.py, kernel.py   the loop; numba
    a_long_name_of_one.py, another.py what they are
```

## Next: `engine/away.py`
"""
    files = ["engine/loop.py", "engine/kernel.py", "engine/a_long_name_of_one.py", "engine/another.py"]
    assert planned(page) == ["engine/laws/", "engine/", *files]


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in DOCS if f"[{page.name}]({page.name})" not in index and page.name != "README.md"] == []


def test_policies_over_arms_are_in_the_tables() -> None:
    text = "".join((ROOT / "docs" / f"{family}.md").read_text() for family in ("arms", "contexts", "states", "solver"))
    assert [name for name in golden.names("arm") if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    shown = blocks(page.read_text())
    assert [wrong(block) for block in shown if wrong(block)] == []
    assert page.read_text().count("\n```") == 2 * len(shown)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_whatever_runs_on_a_page_is_run_by_a_test(page: Path) -> None:
    runs = [block for block in blocks(page.read_text()) if block.mark is None and block.language not in TOLD]
    assert not (page in SHOWN and page.stem in ELSEWHERE)
    if runs and page not in SHOWN:
        test = (ROOT / "tests" / ELSEWHERE[page.stem]).read_text()
        assert any(name in test for name in (page.name, "from-*.md", "for-*.md"))


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_calls_that_a_page_shows_are_made_by_a_test_that_it_names(page: Path) -> None:
    for block in blocks(page.read_text()):
        named = re.findall(r"tests/[\w/]+(?:\.py)?", block.mark or "")
        assert [name for name in named if not (ROOT / name).exists()] == []
        assert named or "curl " not in block.text, (
            f"{page.name}, line {block.line}: name the test that makes these calls"
        )


@pytest.mark.jit
@pytest.mark.parametrize("page", every_run(SHOWN, SHOWN[:1]), ids=lambda page: page.name)
def test_the_python_of_a_page_runs_and_prints_what_it_says(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": page.stem}
    said: list[str] = []
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in blocks(page.read_text()):
            if block.language == "python":
                exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)
                said += SAID.findall(block.text)
    assert [line for line in said if line not in printed.getvalue().splitlines()] == []


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.name)
def test_the_commands_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")  # the commands are typed at the root, and write files there
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONEARM_DATABASE_URL", raising=False)
    for block in blocks(page.read_text()):
        for command in commands(block) if block.language == "console" and block.mark is None else []:
            assert run(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr().err}"
            captured = capsys.readouterr()
            assert captured.out + captured.err


def test_what_contributors_are_told_to_run_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    assert {"test", "check", "format", "bench", "lock"} <= targets
    assert [name for name in sorted(targets) if f"\n{name}:" not in makefile] == []
    assert (ROOT / ".ci" / "run").exists()


def test_a_commit_is_checked_as_make_check_does() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"^ *entry: (.+)$", hooks, re.MULTILINE) == ["make check"]
    assert re.findall(r"^ *language: (.+)$", hooks, re.MULTILINE) == ["system"]
    assert re.findall(r"^ *- repo: (.+)$", hooks, re.MULTILINE) == ["local"]  # nothing is fetched
