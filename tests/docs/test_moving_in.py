"""The pages for those who come from elsewhere: their Python and their commands run, in their order."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path
from typing import Any

import pytest
from test_readme import ROOT, SAID, blocks, commands, wrong

from onearm.api.cli.main import run

PAGES = sorted((ROOT / "docs").glob("from-*.md"))


def test_every_block_is_run_or_says_why_not() -> None:
    assert len(PAGES) == 3
    for page in PAGES:
        assert [wrong(block) for block in blocks(page.read_text()) if wrong(block)] == []


@pytest.mark.usefixtures("nothing_is_compiled")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")  # the commands are typed at the root, and write files there
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONEARM_DATABASE_URL", raising=False)
    namespace: dict[str, Any] = {"__name__": page.stem}
    done = 0
    for block in blocks(page.read_text()):
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)
            assert printed.getvalue().splitlines() == SAID.findall(block.text)
        for command in commands(block) if block.language == "bash" and block.mark is None else []:
            assert run(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr().err}"
            captured = capsys.readouterr()
            assert captured.out + captured.err
            done += 1
    assert done >= 1
