"""Make the client for threads of the one for tasks: `.venv/bin/python -m onearm.api.client.made_blocking`.

What differs between them is a word here and there: `await` goes, and classes have other names. A test checks that
what is in api/client/blocking/ is what this makes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parent
WORDS = [
    (r"\basync def\b", "def"),
    (r"\basync with\b", "with"),
    (r"\bawait asyncio\.to_thread\((.+)\)", r"\1()"),
    (r"\bawait ", ""),
    (r"^import asyncio$(?=[\s\S]*asyncio\.sleep)", "import time"),
    (r"^import asyncio$\n", ""),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bAwaitable\[None\]", "None"),
    (r"^from collections\.abc import Awaitable$\n", ""),
    (r"\bAwaitable, ", ""),
    (r"\bhttpx\.AsyncClient\b", "httpx.Client"),
    (r"\bhttpx\.AsyncBaseTransport\b", "httpx.BaseTransport"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\bTaskGatherer\b", "ThreadGatherer"),
    (r"\bAsync(?=[A-Z])", ""),
]


def blocking(source: str) -> str:
    """Return a file of the client for threads, of the one for tasks."""
    for word, other in WORDS:
        source = re.sub(word, other, source, flags=re.MULTILINE)
    return source


def made() -> dict[Path, str]:
    """Return each file of the client for threads, as it is made."""
    return {
        CLIENT / "blocking" / file.name: blocking(file.read_text())
        for file in sorted((CLIENT / "asynchronous").glob("*.py"))
        if file.name != "__init__.py"
    }


if __name__ == "__main__":
    for file, source in made().items():
        file.write_text(source)
    for command in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(CLIENT / "blocking")], check=True)
