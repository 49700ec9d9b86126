"""What the labels of an event in Vowpal Wabbit's text say."""

from __future__ import annotations

import math
from typing import NamedTuple

from ....errors import as_seen
from ....problem import ARMS_MAX, REWARD_MAX
from ...bad_lines import BadLines
from ...numerals import number_in


class Text(NamedTuple):
    """The lines of an event."""

    number: int  # of the first line, from 1
    lines: list[bytes]  # without their newlines


class Decision(NamedTuple):
    """What the labels of an event say."""

    action: int
    propensity: float
    reward: float
    size: int  # actions of the set; of numbered arms the largest that is named
    listed: tuple[int, ...] | None = None  # numbered arms that could be chosen; None: all


class BadEvent(Exception):
    """An event is bad, of this kind; `reason` says what was seen, where there is more to say."""

    def __init__(self, kind: str, reason: str = "") -> None:
        super().__init__(kind)
        self.reason = reason

    def tell(self, bad_lines: BadLines, line: int) -> None:
        """Count the event, whose first line has this number."""
        bad_lines.add(str(self), line)
        if self.reason:
            bad_lines.reasons.setdefault(str(self), f"line {line}: {self.reason}")


def words_of(line: bytes) -> list[bytes]:
    """Return the label of a line: the words before the first bar that are no tag."""
    head, bar, _ = line.partition(b"|")
    words = head.split()
    if words and (words[-1].startswith(b"'") or (bar and not head[-1:].isspace())):
        words.pop()
    return words


def decision_of(text: Text, numbered: bool, n_arms: int | None) -> Decision:
    """Return what the labels of an event say; raise `BadEvent` where they say nothing, or what cannot be."""
    if numbered:
        return _numbered_decision(words_of(text.lines[0]), n_arms)
    labels = [words_of(line) for line in text.lines]
    if labels[0] == [b"shared"]:
        del labels[0]
    if not labels:
        raise BadEvent("no_actions")
    found = [(a, words[0]) for a, words in enumerate(labels) if words and b":" in words[0]]
    if len(found) > 1 or any(len(words) > 1 or words == [b"shared"] for words in labels):
        raise BadEvent("bad_label")
    if not found:
        raise BadEvent("missing_label")
    (action, label), *_ = found
    _, reward, propensity = _label(label)
    return Decision(action, propensity, reward, len(labels))


def _numbered_decision(words: list[bytes], n_arms: int | None) -> Decision:
    labels = [word for word in words if b":" in word]
    if not labels:
        raise BadEvent("missing_label")
    if len(labels) > 1:
        raise BadEvent("bad_label")
    arm, reward, propensity = _label(labels[0])
    arms = [_arm(word) for word in words if word is not labels[0]]
    largest = max([arm, *arms])
    if min([arm, *arms]) < 1 or largest > (n_arms or ARMS_MAX):
        raise BadEvent("bad_action")
    return Decision(arm - 1, propensity, reward, largest, tuple(each - 1 for each in (arm, *arms)) if arms else None)


def _label(word: bytes) -> tuple[int, float, float]:
    """Return the action, the reward and the propensity of a label."""
    action, cost, *rest = word.split(b":")
    reward = 0.0 - _number(cost)
    if not abs(reward) <= REWARD_MAX:
        raise BadEvent("bad_reward", f"the cost is {_seen(cost)}: it must be a number from -1e100 to 1e100")
    propensity = _number(rest[0]) if len(rest) == 1 else math.nan
    if not 0.0 < propensity <= 1.0:
        raise BadEvent("bad_propensity", f"the label is {_seen(word)}: its probability must be a number in (0, 1]")
    return _arm(action), reward, propensity


def _arm(word: bytes) -> int:
    if not word.isdigit() or len(word) > 9:
        raise BadEvent("bad_action")
    return int(word)


def _number(word: bytes) -> float:
    return number_in(word.decode("latin-1"))


def _seen(word: bytes) -> str:
    return as_seen(word.decode("utf-8", "replace"))
