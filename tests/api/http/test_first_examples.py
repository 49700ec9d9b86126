"""The five first examples of docs/http.md run, each against a service of its own, and are answered as the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.windowed import Windowed

PAGE = Path(__file__).resolve().parents[3] / "docs" / "http.md"
SECTION = PAGE.read_text().partition("\n## Five ways to begin\n")[2].partition("\n## ")[0]
EXAMPLES = dict(zip(re.findall(r"^\*\*(.*?)\*\*", SECTION, re.MULTILINE), SECTION.split("```bash\n")[1:], strict=True))
LINE = re.compile(r"^curl (?:-X (POST) )?(?:-d '(.*)' )?http://127\.0\.0\.1:8080(\S+)(?:  # (.*))?$")


def test_there_are_five() -> None:
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_answered_as_it_says(tmp_path: Path, example: str) -> None:
    with Windowed(tmp_path) as served:
        for line in EXAMPLES[example].partition("\n```")[0].splitlines():
            if line.startswith("sleep "):
                served.pass_time(float(line.removeprefix("sleep ")))
                continue
            call = LINE.match(line)
            assert call is not None, f"this is no call: {line}"
            method, body, path, says = call.groups()
            found = served.post(path, json.loads(body or "{}")) if method or body else served.get(path)
            assert found.status_code < 300, found.text
            for part in (says or "").split(" ... "):
                assert part in found.text, f"{line}: {found.text}"
