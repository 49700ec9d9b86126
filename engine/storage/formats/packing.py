"""How a file is packed, by the ending of its name. Nothing is imported: commands that read no log ask it too."""

from __future__ import annotations

from pathlib import Path

PACKED = {".gz": "gzip", ".zst": "zstd"}


def packing_of(path: Path) -> str | None:
    """Return how a file of that name is packed: "gzip", "zstd" or None."""
    return PACKED.get(path.suffix.lower())


def ending_of(path: Path) -> str:
    """Return the ending of a name in lower case, without that of its packing.

    >>> ending_of(Path("log.JSONL.gz"))
    '.jsonl'
    """
    return (path if packing_of(path) is None else path.with_suffix("")).suffix.lower()
