"""What is wrong with a built site: links that lead nowhere, and what a browser would fetch from another host."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself, by element and attribute. A link that a reader may click is not among them.
FETCHED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "image": "href",
    "img": "src",
    "input": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "use": "href",
    "video": "src",
}
IN_STYLES = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])((?:https?:)?//[^\"')\s]+)")


class Page(HTMLParser):
    """One page: its anchors, where it leads, and what a browser fetches for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.fetched: set[str] = set(IN_STYLES.findall(text))
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if tag in FETCHED and FETCHED[tag] in given:
            self.fetched.add(given[FETCHED[tag]])
        if "srcset" in given:
            self.fetched |= {part.split()[0] for part in given["srcset"].split(",")}

    handle_startendtag = handle_starttag


def faults(site: Path) -> list[str]:
    """Return a line for each fault of the site in a folder, in the order of its pages; none where all is well."""
    pages = {file: Page(file.read_text()) for file in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        name = file.relative_to(site)
        for link in sorted(page.links | page.fetched):
            if urlsplit(link).netloc:
                found += [f"{name} makes a browser ask another host: {link}"] if link in page.fetched else []
            elif why := nowhere(link, file, site, pages):
                found.append(f"{name} leads to {link}: {why}")
    for style in sorted(site.rglob("*.css")):
        found += [f"{style.relative_to(site)} asks another host: {url}" for url in IN_STYLES.findall(style.read_text())]
    return found


def nowhere(link: str, file: Path, site: Path, pages: dict[Path, Page]) -> str | None:
    """Say why a link of a page leads nowhere; None where it leads somewhere."""
    parts = urlsplit(link)
    if parts.scheme:  # data:, mailto:, javascript:
        return None
    path = unquote(parts.path)
    whole = site / path.lstrip("/") if path.startswith("/") else file.parent / path
    target = Path(os.path.normpath(whole)) if path else file
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "there is no such file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "that page has no such heading"
    return None
