"""The client for threads is the one for tasks, without its words for tasks."""

from __future__ import annotations

import ast

from onearm.api.client.made_blocking import CLIENT, blocking, made


def test_the_files_are_those_that_are_made() -> None:
    files = made()
    assert {file.name for file in (CLIENT / "blocking").glob("*.py")} == {"__init__.py", *(file.name for file in files)}
    for file, source in files.items():
        made_again = "run .venv/bin/python -m onearm.api.client.made_blocking"
        assert told(file.read_text()) == told(source), f"{file.name}: {made_again}"


def test_what_is_for_tasks_is_gone() -> None:
    assert blocking("async def a(self) -> ArmChoice[Awaitable[None]]:\n    await b()\n") == (
        "def a(self) -> ArmChoice[None]:\n    b()\n"
    )
    for file in (CLIENT / "blocking").glob("*.py"):
        assert not {"await", "async", "asyncio"} & set(file.read_text().replace(".", " ").split()), file


def told(source: str) -> str:
    """Return a file as its tree says it; imports in any order."""
    tree = ast.parse(source)
    imports = sorted(ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    rest = [ast.unparse(node) for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join([*imports, *rest])
