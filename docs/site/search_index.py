"""What search finds: every section of every page, but the fields of classes.

Fields are named by the words of the glossary: seven classes have a `propensity`, and all of them came before the page
that says what it is. On the pages of the reference they stand below their class as before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def leave_out_fields(index: Path) -> None:
    """Rewrite the index that the site's search reads, without the fields of the reference. None there: `SystemExit`."""
    content = json.loads(index.read_text())
    kept = [item for item in content["items"] if not is_field(item)]
    if len(kept) == len(content["items"]):
        raise SystemExit(f"{index} has no field of a class: look how Zensical writes them now, and mend `is_field`")
    index.write_text(json.dumps(content | {"items": kept}, ensure_ascii=False, separators=(",", ":")))


def is_field(item: dict[str, Any]) -> bool:
    """Whether an item of the index is a field: of the reference, and first the name and a type.

    >>> is_field({"location": "reference/a.html#b.c", "title": "c", "text": "<pre><code>c: float</code></pre>"})
    True
    >>> is_field({"location": "reference/a.html#b.c", "title": "c", "text": "<pre><code>c(x: int) -> int</code></pre>"})
    False
    """
    text = str(item["text"])
    return item["location"].startswith("reference/") and text.startswith(f"<pre><code>{item['title']}: ")
