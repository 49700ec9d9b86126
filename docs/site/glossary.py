"""The glossary of the site, from the one table of words in docs/architecture.md."""

from __future__ import annotations

import re

HEADING = "## Vocabulary: one word, one thing"
HEAD = """# Glossary

Each word that these pages use, with what it means here. Where others say another word for the same thing, that one
stands behind it. [The design](architecture.md#vocabulary-one-word-one-thing) has the same table, by subject.

"""


def entries(page: str) -> list[tuple[str, str, str]]:
    """Return (word, meaning, what others say) for each row of the table of words. No table: `SystemExit`."""
    table = page.partition(f"\n{HEADING}\n\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()[2:]]
    if not rows:
        raise SystemExit(f"docs/architecture.md has no table below {HEADING!r}: the glossary is made of it")
    return [(word, meaning, others) for word, meaning, others in rows]


def glossary(page: str) -> str:
    """Return the glossary as a page in Markdown: its words in the order of the alphabet, each a heading for search."""
    made = [HEAD]
    for word, meaning, others in sorted(entries(page), key=lambda entry: entry[0].casefold()):
        elsewhere = f" *Elsewhere: {others}.*" if others else ""
        made.append(f"## {word} {{#{anchor(word)}}}\n\n{meaning[:1].upper()}{meaning[1:]}.{elsewhere}\n\n")
    return "".join(made)


def anchor(word: str) -> str:
    """Return the anchor of a word: `#propensity`, `#ask-tell`."""
    return re.sub(r"[^a-z0-9]+", "-", word.casefold()).strip("-")
