"""The pages of the site, written below one folder: docs/, what these pages link to, the glossary and the reference.

Pages are written to be read in the repository as well, so their links are paths of files in it. On the site a page of
docs/ lies at the top, another page or a picture in `project/`, and any other file is a page that shows its text, in
`source/`. Whatever a page links to is written too, and so on from there.
"""

from __future__ import annotations

import os
import re
import shutil
from itertools import pairwise
from pathlib import Path, PurePosixPath

from glossary import glossary

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?P<file>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
WORDS = "architecture.md#vocabulary-one-word-one-thing"  # which the glossary has in the order of the alphabet
LANGUAGES = {".py": "python", ".ipynb": "json", ".json": "json", ".yml": "yaml", ".conf": "nginx", ".service": "ini"}
PICTURES = (".svg", ".png")


def write_pages(root: Path, folder: Path) -> None:
    """Write all pages of the repository at `root` into the new folder. A link to what is not there: `SystemExit`."""
    waiting = sorted((root / "docs").glob("*.md"))
    seen = set(waiting)
    while waiting:
        file = waiting.pop()
        target = folder / place(file.relative_to(root))
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in PICTURES:
            shutil.copy(file, target)
        elif file.suffix == ".md":
            text, linked = with_links_of_the_site(file, root)
            target.write_text(text)
            waiting += sorted(linked - seen)
            seen |= linked
        else:
            target.write_text(source_page(file.relative_to(root), file.read_text()))
    (folder / "glossary.md").write_text(glossary((root / "docs" / "architecture.md").read_text()))
    shutil.copytree(root / "docs" / "site" / "reference", folder / "reference")
    shutil.copytree(root / "docs" / "site" / "style", folder / "style")


def place(file: Path) -> PurePosixPath:
    """Return where a file of the repository lies on the site, both as relative paths."""
    path = PurePosixPath(file.as_posix())
    if path.suffix == ".md" and path.parent.name == "docs":
        return PurePosixPath("index.md" if path.name == "README.md" else path.name)
    if path.suffix == ".md":
        return "project" / path.with_name(path.name.lower())  # README.md would become a folder's index
    return "project" / path if path.suffix in PICTURES else "source" / path.with_name(f"{path.name.lstrip('.')}.md")


def with_links_of_the_site(page: Path, root: Path) -> tuple[str, set[Path]]:
    """Return the text of a page with its links as the site has them, and the files that it links to."""
    linked: set[Path] = set()
    here = place(page.relative_to(root)).parent

    def relinked(link: re.Match[str]) -> str:
        if f"{link['file']}{link['anchor']}".endswith(WORDS):
            return os.path.relpath("glossary.md", here).replace(os.sep, "/")
        file = Path(os.path.normpath(page.parent / link["file"]))
        if not file.is_file():
            raise SystemExit(f"{page.relative_to(root)} links to {link['file']}, which is no file: write another path")
        linked.add(file)
        path = os.path.relpath(place(file.relative_to(root)), here).replace(os.sep, "/")
        return f"{path}{link['anchor'] or ''}"

    text = page.read_text()
    ends = [0, *(place for block in FENCED.finditer(text) for place in block.span()), len(text)]
    parts = [text[begin:end] for begin, end in pairwise(ends)]
    parts[::2] = [LINK.sub(relinked, part) for part in parts[::2]]
    return "".join(parts), linked


def source_page(path: Path, text: str) -> str:
    """Return a page that shows a file of the repository."""
    return f'# {path.as_posix()}\n\n````{LANGUAGES.get(path.suffix, "text")} linenums="1"\n{text.rstrip()}\n````\n'
