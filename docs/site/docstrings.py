"""A docstring as the reference shows it: its examples as blocks of code, its parts on lines of their own.

On the site a docstring is Markdown, where `>>>` would be a quotation in a quotation in a quotation. What a field means
stands in a comment behind it, and is its docstring there.
"""

from __future__ import annotations

import re

PART = re.compile(r"(?<!\n)\n(?=(?:Source|Assumes|Refuses|Columns|State|Cost|Memory|Departs from [^:\n]*): )")
EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).*)*", re.MULTILINE)
COMMENT = re.compile(r"^(?:[^#\"']|\"[^\"]*\"|'[^']*')*?(?:^|\s)#\s?(?P<said>.*)$")


def fenced(docstring: str) -> str:
    """Return a docstring with a fence around each example, and each of its parts on a line of its own."""
    return EXAMPLE.sub(lambda example: f"```pycon\n{example[0]}\n```", PART.sub("  \n", docstring))


def comment_behind(lines: list[str], begin: int, end: int) -> str:
    """Return the comment of lines[begin:end], with lines that are comments alone and follow; "" where there is none."""
    said = [found["said"] for line in lines[begin:end] if (found := COMMENT.match(line))]
    while said and end < len(lines) and lines[end].lstrip().startswith("#"):
        said.append(lines[end].strip().lstrip("#").strip())
        end += 1
    return " ".join(said).strip()
