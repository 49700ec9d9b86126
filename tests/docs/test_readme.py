"""What the README shows runs and prints what it says: Python in one namespace, commands, and calls to a service."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.served import Served
from support.stored import new_database

from onearm.api.cli.main import COMMANDS, run

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
NOT_RUN = re.compile(r"not run: .{10,}")
LANGUAGES = {"python", "bash", "console", "json", "text", "javascript", "typescript", "yaml"}
TOLD = ("json", "text")  # what is said and not run: bodies, each line of which is one, and pictures
SAID = re.compile(r"^print\(.*\)  # (.+)$", re.MULTILINE)
CALL = re.compile(r"^curl -d '(.*)' http://127\.0\.0\.1:8080(\S+)\n# (.*)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block, and the comment above it."""

    language: str
    text: str
    mark: str | None
    line: int


def blocks(text: str) -> list[Block]:
    return [
        Block(found["language"], found["text"], found["mark"], text.count("\n", 0, found.start("text")))
        for found in FENCE.finditer(text)
    ]


def commands(block: Block) -> list[str]:
    """Return the commands that a person would type: after the dollar, or every line without comments."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in lines if line.strip() and not line.startswith("#")]


def wrong(block: Block) -> str | None:
    """Say what is wrong with a block that nobody would run."""
    if block.language not in LANGUAGES:
        return f"line {block.line}: a block of {block.language or 'no language'}: use {', '.join(sorted(LANGUAGES))}"
    if block.mark is not None and not NOT_RUN.fullmatch(block.mark):
        return f"line {block.line}: the comment {block.mark!r} is not of the form: not run: <reason>"
    if block.mark is not None and block.language == "python":
        return f"line {block.line}: Python is always run"
    if block.language == "json":
        return None if all(map(is_json, block.text.splitlines())) else f"line {block.line}: a line is not JSON"
    if block.mark is None and block.language not in ("python", *TOLD):
        for command in commands(block):
            if not command.startswith("onearm "):
                return f"line {block.line}: only onearm is run, not {command!r}: mark the block as not run, and why"
        if not commands(block):
            return f"line {block.line}: a block without a command"
    return None


def is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


README_BLOCKS = blocks(README.read_text())


def test_every_block_is_run_or_says_why_not() -> None:
    assert [wrong(block) for block in README_BLOCKS if wrong(block)] == []
    assert README.read_text().count("```") == 2 * len(README_BLOCKS)


@pytest.mark.jit
def test_the_python_of_the_readme_runs_from_top_to_bottom() -> None:
    python = [block for block in README_BLOCKS if block.language == "python"]
    assert len(python) >= 2
    namespace: dict[str, Any] = {"__name__": "readme"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in python:
            exec(compile("\n" * block.line + block.text, str(README), "exec"), namespace)
    assert printed.getvalue().splitlines() == SAID.findall("".join(block.text for block in python))


def test_the_calls_of_the_readme_are_answered_as_it_says(tmp_path: Path) -> None:
    calls = CALL.findall(README.read_text())
    assert len(calls) == 2
    new_database(tmp_path / "run.db")  # one in which the service makes `hello`
    with Served(tmp_path) as served:
        for body, path, answer in calls:
            assert served.post(path, json.loads(body)).json() == json.loads(answer)


def test_the_readme_is_two_screens() -> None:
    text = README.read_text()
    assert text.count("\n") <= 200 and len(text.split()) <= 1600
    short = text.partition("<!-- table:short -->")[2].partition("<!-- /table -->")[0]
    assert short.count("\n| ") == 2 + 10  # the head, the rule, and ten lines


@pytest.mark.jit
def test_the_commands_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")  # the commands are typed at the root, and write files there
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONEARM_DATABASE_URL", raising=False)
    shown = [
        command
        for block in README_BLOCKS
        if block.language in ("bash", "console") and block.mark is None
        for command in commands(block)
    ]
    assert len(shown) >= 2
    for command in shown:
        arguments = shlex.split(command)[1:]
        assert arguments[0] in COMMANDS
        code = run(arguments)
        captured = capsys.readouterr()
        assert code == 0, f"{command}\n{captured.err}"
        assert captured.out + captured.err


def test_files_that_the_readme_points_to_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README.read_text())
    assert len(links) > 5
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_tests_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"tests/[\w/]+(?:\.[\w.]*\w)?", README.read_text()))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_block_that_nobody_would_run_is_found() -> None:
    text = "a\n<!-- not run: it starts a server -->\n```bash\nmake run\n```\n\n```console\n$ onearm envs\nout\n```\n"
    first, second = blocks(text)
    assert (first.mark, first.language, second.mark) == ("not run: it starts a server", "bash", None)
    assert (first.line, commands(first), commands(second)) == (3, ["make run"], ["onearm envs"])
    assert wrong(first) is None and wrong(second) is None
    assert "only onearm is run" in str(wrong(first._replace(mark=None)))
    assert "not of the form" in str(wrong(first._replace(mark="not run: no")))
    assert "Python is always run" in str(wrong(first._replace(language="python")))
    assert "of no language" in str(wrong(first._replace(language="")))
    assert "without a command" in str(wrong(second._replace(text="just words\n")))
    assert "a line is not JSON" in str(wrong(second._replace(language="json", text='{"a": 1}\n{"b": ...}\n')))
    assert wrong(second._replace(language="json", text='{"a": 1}\n')) is None


def test_a_comment_that_ends_further_up_is_no_mark() -> None:
    (only,) = blocks("<!-- table:speed -->\n| a |\n<!-- /table -->\nwords -->\n```python\n1\n```\n")
    assert (only.language, only.mark) == ("python", None)
