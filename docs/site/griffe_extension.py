"""Docstrings as the reference shows them: an extension of Griffe, which reads them from the files of the package."""

from __future__ import annotations

from pathlib import Path

import griffe
from docstrings import comment_behind, fenced


class HouseDocstrings(griffe.Extension):
    """Puts examples into fences, and gives each field the comment behind it."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Put each example of a docstring, up to an empty line, into a fence."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)

    def on_attribute(self, *, attr: griffe.Attribute, **_: object) -> None:
        """Take the comment behind a field, and the lines of comment that go on with it, as its docstring."""
        if attr.docstring is None and attr.lineno and attr.endlineno and isinstance(attr.filepath, Path):
            lines = attr.lines_collection[attr.filepath]
            if said := comment_behind(lines, attr.lineno - 1, attr.endlineno):
                attr.docstring = griffe.Docstring(said, parent=attr)
