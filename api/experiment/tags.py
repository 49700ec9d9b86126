"""Tags of arms: short strings by which constraints name groups of them.

>>> tags_of([{"id": "a"}, {"id": "b", "tags": ["new", "red"]}])
((), ('new', 'red'))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...engine.errors import InvalidInput, as_seen

LENGTH_MAX = 100  # characters of a tag
TAGS_MAX = 100  # of an arm


def tags_of(arms: Sequence[dict[str, Any]]) -> tuple[tuple[str, ...], ...]:
    """Return the tags of each arm, as its field `tags` says; () where none has any.

    What is no list of strings there says something else: `check_tags` refuses it where tags name groups.
    """
    found = tuple(tuple(arm["tags"]) if _is_list(arm.get("tags")) else () for arm in arms)
    return found if any(found) else ()


def check_tags(arm: dict[str, Any]) -> None:
    """Refuse an arm whose tags are no list of strings, at most 100 of 1 to 100 printable characters, each once."""
    tags = arm.get("tags", [])
    if not _is_list(tags) or len(tags) > TAGS_MAX or not all(map(_is_tag, tags)):
        raise InvalidInput(
            "bad_tags",
            f"the tags of arm {arm['id']!r} are {as_seen(tags)}: they must be a list of at most {TAGS_MAX} "
            f"strings of 1 to {LENGTH_MAX} printable characters, as constraints name a group by a tag",
        )
    if len(set(tags)) < len(tags):
        raise InvalidInput("bad_tags", f"arm {arm['id']!r} has a tag twice ({as_seen(tags)}): name it once")


def _is_tag(text: str) -> bool:
    return 1 <= len(text) <= LENGTH_MAX and text.isprintable()


def _is_list(tags: Any) -> bool:
    return isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
