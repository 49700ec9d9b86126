"""Contextual bandit logs in Vowpal Wabbit's text format, of action sets (`--cb_adf`) or of numbered arms (`--cb`).

Of action sets an event is a run of lines, with an empty line behind it: the features that its actions share, where
there are any, then those of each action. The label, action:cost:probability, stands on the line of the action taken,
and its first number is not looked at:

    shared |user age:31
    |item id=a
    0:-1.0:0.85 |item id=b

Of numbered arms an event is a line; the arms count from 1. Other arms before the bar are those that could be chosen:

    2:-1.0:0.85 |user age:31
    1 2:-1.0:0.85 5 |user age:31

Which of the two it is, the first lines tell. The reward is minus the cost. Tags are read as ids: that of the shared
line, or of the line of numbered arms, is the decision's, that of an action's line the action's. A feature is known as
in JSON logs: `age` of the namespace `user` is the same in both; names that begin with an underscore are left out.
Contexts of numbered arms are rows of numbers, hashed to `DIMENSION` columns where no other dimension is wanted.

Left out, counted and named are events without a label (or with two), and those with numbers that are none.

Source: the wiki of vowpal_wabbit, "Contextual Bandit algorithms", and cb_label_parser.cc of version 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ...contexts import concat_contexts, pack_context
from ...errors import InvalidInput
from ...features import Encoder, entries_of
from ...problem import ARMS_MAX, REWARD_MAX
from ...vocabulary import GIVEN, LEARN, Array, Columns, Features, Problem
from ..events import Events
from ..log import BadLines, no_good_line, reading
from ..rows import Page, Rows, Wanted
from ..source import Source
from ..spool import Joined, Spool
from ..tables import Event
from . import vw_text
from .described import check_decision, check_problem, described, original
from .packed import open_packed
from .segments import Segments

PAGE = 10_000  # events
DIMENSION = 256  # columns of contexts of numbered arms
HEAD = 1000  # lines, after which a log that could be either is taken for one of numbered arms


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


class _Bad(Exception):
    """An event is bad, of this kind."""


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions. Bad events are counted and named, by their first line; the others are read.

    A segment is a feature of the shared context, "namespace.feature": its value, or of `feature=value` that.
    """
    rows = Rows()
    try:
        with reading(source.path, "a log of Vowpal Wabbit's text"):
            numbered, texts = _texts(source, rows.bad_lines)
            reader = _Reader(rows, wanted, numbered)
            good = (found for text in texts if (found := reader.read(text)) is not None)
            while page := list(islice(good, PAGE)):
                reader.append(page)
        if not rows.decisions:
            raise no_good_line(source.path, rows.bad_lines)
    except InvalidInput:
        rows.close()
        raise
    rows.problem = reader.problem
    k = rows.problem.n_arms
    rows.finish = lambda page: page._replace(columns=_completed(page.columns, k))
    return rows


class _Read(NamedTuple):
    number: int
    decision: Decision
    context: Any  # of one row, None where none is wanted
    segment: Any


class _Reader:
    """Makes pages of events."""

    def __init__(self, rows: Rows, wanted: Wanted, numbered: bool) -> None:
        self._rows, self._wanted, self._numbered = rows, wanted, numbered
        self._encoder = _encoder(wanted.dimension, numbered)
        self._segments = Segments(rows.segments)
        self._n_arms = wanted.n_arms or 1 if numbered else 1
        self._nonzeros = 1

    def read(self, text: Text) -> _Read | None:
        """Return what an event says, or None where it is bad."""
        try:
            decision = _decision(text, self._numbered, self._wanted.n_arms)
            context = segment = None
            if self._wanted.contexts or self._wanted.segment is not None:
                shared, actions, _ = _features(text, self._numbered)
                if self._wanted.contexts:
                    context = _encoded(shared, actions, self._encoder, self._numbered)
                if self._wanted.segment is not None:
                    segment = _segment(shared, self._wanted.segment)
        except _Bad as bad:
            self._rows.bad_lines.add(str(bad), text.number)
            return None
        return _Read(text.number, decision, context, segment)

    def append(self, page: list[_Read]) -> None:
        """Add a page."""
        n = len(page)
        self._rows.decisions += n
        largest = max(each.decision.size for each in page)
        self._n_arms = max(self._n_arms, largest)
        context: Any = np.zeros((n, 0))
        if self._wanted.contexts:
            context = concat_contexts([each.context for each in page])
            if isinstance(context, Features):
                self._nonzeros = max(self._nonzeros, *(len(each.context.index) for each in page))
        numbers = np.array([each.number for each in page], np.int64)
        place = np.zeros(n, np.int64)
        if self._wanted.segment is not None:
            place = self._segments.places(each.segment for each in page)
        columns = Columns(
            np.zeros(n, np.int8),
            numbers,
            np.array([each.decision.action for each in page], np.int64),
            np.array([each.decision.propensity for each in page]),
            np.array([each.decision.reward for each in page]),
            np.zeros((n, 0)),
            context,
            _masks([each.decision for each in page], largest, self._numbered),
        )
        self._rows.append(Page(columns, numbers, place))

    @property
    def problem(self) -> Problem:
        """Return the problem of all pages so far."""
        return _problem(self._n_arms, self._nonzeros, self._encoder, self._numbered, self._wanted.contexts)


def _problem(k: int, nonzeros: int, encoder: Encoder, numbered: bool, contexts: bool = True) -> Problem:
    if not contexts:
        return Problem(k)
    if encoder.dimension is None:
        return Problem(k, (k, 1 << encoder.bits), nonzeros=nonzeros)
    return Problem(k, (encoder.dimension,) if numbered else (k, encoder.dimension))


def _encoder(dimension: int | None, numbered: bool) -> Encoder:
    return Encoder(dimension=dimension or DIMENSION, interactions=()) if numbered else Encoder(dimension=dimension)


def _masks(decisions: list[Decision], k: int, numbered: bool) -> Array:
    """Return which actions could be chosen, bool[n, k + 1], or bool[1, k + 1]; the last stands for all from k on."""
    if all(each.listed is None and (numbered or each.size == k) for each in decisions):
        mask = np.ones((1, k + 1), np.bool_)
        mask[0, k] = numbered
        return mask
    masks = np.zeros((len(decisions), k + 1), np.bool_)
    for mask, each in zip(masks, decisions, strict=True):
        if each.listed is not None:
            mask[list(each.listed)] = True
        else:
            mask[: None if numbered else each.size] = True
    return masks


def _completed(columns: Columns, k: int) -> Columns:
    """Return a page as it is once the whole log was read: with room for k actions."""
    known = columns.available.shape[1] - 1
    mask = np.concatenate([columns.available[:, :known], np.repeat(columns.available[:, known:], k - known, 1)], 1)
    context = columns.context
    if isinstance(context, Features):
        context = context._replace(start=np.pad(context.start, ((0, 0), (0, k - known)), mode="edge"))
    elif context.ndim == 3:
        context = np.pad(context, ((0, 0), (0, k - known), (0, 0)))
    return columns._replace(context=context, available=mask)


def _texts(source: Source, bad_lines: BadLines) -> tuple[bool, Iterator[Text]]:
    """Return whether arms are numbered, and the events."""
    lines = ((number, line.rstrip(b"\r\n")) for number, line in source.lines())
    head: list[tuple[int, bytes]] = []
    numbered = _is_numbered(head, lines)
    every = chain(head, lines)
    if numbered:
        return True, (Text(number, [line]) for number, line in _whole(source, every, bad_lines) if line.strip())
    return False, _runs(source, every, bad_lines)


def _is_numbered(head: list[tuple[int, bytes]], lines: Iterator[tuple[int, bytes]]) -> bool:
    """Whether events are lines, with arms that have numbers; lines that were looked at are added to `head`."""
    size = labels = 0
    for number, line in islice(lines, HEAD):
        head.append((number, line))
        if not line.strip():
            if size > 1:
                return False
            size = labels = 0
            continue
        words = _words(line)
        if words[:1] == [b"shared"] or (words and words[0].startswith(b"0:")):
            return False
        size, labels = size + 1, labels + any(b":" in word for word in words)
        if labels > 1:
            return True
    return size <= 1 or labels > 1


def _whole(source: Source, lines: Iterator[tuple[int, bytes]], bad_lines: BadLines) -> Iterator[tuple[int, bytes]]:
    """Yield the lines; of a packed file that was cut short the last one is bad, as nobody knows where it ends."""
    before: tuple[int, bytes] | None = None
    for line in lines:
        if before is not None:
            yield before
        before = line
    if source.broken is not None:
        bad_lines.add("truncated", before[0] if before is not None else 1)
    elif before is not None:
        yield before


def _runs(source: Source, lines: Iterator[tuple[int, bytes]], bad_lines: BadLines) -> Iterator[Text]:
    """Yield runs of lines that are not empty; of a packed file that was cut short the last one is bad."""
    run: list[bytes] = []
    number = last = 0
    for last, line in lines:
        if line.strip():
            run.append(line)
            number = number or last
        elif run:
            yield Text(number, run)
            run, number = [], 0
    if source.broken is not None:
        bad_lines.add("truncated", number or last + 1)
    elif run:
        yield Text(number, run)


def _words(line: bytes) -> list[bytes]:
    """Return the label of a line: the words before the first bar that are no tag."""
    head, bar, _ = line.partition(b"|")
    words = head.split()
    if words and (words[-1].startswith(b"'") or (bar and not head[-1:].isspace())):
        words.pop()
    return words


def _decision(text: Text, numbered: bool, n_arms: int | None) -> Decision:
    """Return what the labels of an event say; raise `_Bad` where they say nothing, or what cannot be."""
    if numbered:
        return _numbered_decision(_words(text.lines[0]), n_arms)
    labels = [_words(line) for line in text.lines]
    if labels[0] == [b"shared"]:
        del labels[0]
    if not labels:
        raise _Bad("no_actions")
    found = [(a, words[0]) for a, words in enumerate(labels) if words and b":" in words[0]]
    if len(found) > 1 or any(len(words) > 1 or words == [b"shared"] for words in labels):
        raise _Bad("bad_label")
    if not found:
        raise _Bad("missing_label")
    (action, label), *_ = found
    _, reward, propensity = _label(label)
    return Decision(action, propensity, reward, len(labels))


def _numbered_decision(words: list[bytes], n_arms: int | None) -> Decision:
    labels = [word for word in words if b":" in word]
    if not labels:
        raise _Bad("missing_label")
    if len(labels) > 1:
        raise _Bad("bad_label")
    arm, reward, propensity = _label(labels[0])
    arms = [_arm(word) for word in words if word is not labels[0]]
    largest = max([arm, *arms])
    if min([arm, *arms]) < 1 or largest > (n_arms or ARMS_MAX):
        raise _Bad("bad_action")
    return Decision(arm - 1, propensity, reward, largest, tuple(each - 1 for each in (arm, *arms)) if arms else None)


def _label(word: bytes) -> tuple[int, float, float]:
    """Return the action, the reward and the propensity of a label."""
    action, cost, *rest = word.split(b":")
    reward = 0.0 - _number(cost)
    if not abs(reward) <= REWARD_MAX:
        raise _Bad("bad_reward")
    propensity = _number(rest[0]) if len(rest) == 1 else math.nan
    if not 0.0 < propensity <= 1.0:
        raise _Bad("bad_propensity")
    return _arm(action), reward, propensity


def _arm(word: bytes) -> int:
    if not word.isdigit() or len(word) > 9:
        raise _Bad("bad_action")
    return int(word)


def _number(word: bytes) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _features(text: Text, numbered: bool) -> tuple[dict[str, Any], list[dict[str, Any]], list[vw_text.Line]]:
    """Return the shared features (of numbered arms: all), those of each action, and the lines that were parsed."""
    try:
        lines = [vw_text.parse(line.decode()) for line in text.lines]
    except UnicodeDecodeError:
        raise _Bad("not_text") from None
    except InvalidInput:
        raise _Bad("bad_features") from None
    features = [vw_text.as_json(line.features) for line in lines]
    if numbered:
        return features[0], [], lines
    return (features[0], features[1:], lines) if lines[0].words == ["shared"] else ({}, features, lines)


def _segment(shared: dict[str, Any], wanted: str) -> Any:
    """Return the value of a feature, None where it is not there."""
    space, _, name = wanted.rpartition(".")
    for feature, value in shared.get(space, {}).items():
        if feature == name:
            return value
        if feature.startswith(f"{name}="):
            return feature.removeprefix(f"{name}=")
    return None


def _encoded(shared: dict[str, Any], actions: list[dict[str, Any]], encoder: Encoder, numbered: bool) -> Any:
    """Return a context of one row."""
    try:
        if numbered:
            return encoder.dense(None, [shared]) if any(shared.values()) else np.zeros((1, encoder.dimension or 0))
        if encoder.dimension is not None:
            return encoder.dense(shared, actions)[np.newaxis]
        found = encoder.encode(shared, actions)
    except InvalidInput:
        raise _Bad("bad_features") from None
    return found._replace(start=found.start[np.newaxis])


def read_events(source: Source) -> Events:
    """Read every decision with its reward, for `onearm convert`."""
    bad_lines, spool = BadLines(), Spool()
    k, nonzeros, seq, decisions = 1, 1, 0, 0
    with reading(source.path, "a log of Vowpal Wabbit's text"):
        numbered, texts = _texts(source, bad_lines)
        encoder = _encoder(None, numbered)
        for text in texts:
            try:
                decision = _decision(text, numbered, None)
                shared, actions, lines = _features(text, numbered)
                context = _encoded(shared, actions, encoder, numbered)
            except _Bad as bad:
                bad_lines.add(str(bad), text.number)
                continue
            k = max(k, decision.size)
            if isinstance(context, Features):
                context = context._replace(start=context.start[0])
                nonzeros = max(nonzeros, len(context.index))
            event = Event(0, (seq := seq + 1), GIVEN, decisions, decision.action, decision.propensity)
            given = event._replace(
                context=pack_context(context, Problem(1)),
                available=_packed(decision.listed),
                sent=_sent(text),
                decision_id=(lines[0].tag or None) if numbered or lines[0].words == ["shared"] else None,
                actions=None if numbered else _ids(lines[-decision.size :]),
            )
            spool.append(given)
            spool.append(event._replace(seq=(seq := seq + 1), kind=LEARN, reward=decision.reward, reward_id=""))
            decisions += 1
    if not decisions:
        raise no_good_line(source.path, bad_lines)
    return Events(
        _problem(k, nonzeros, encoder, numbered), (_fitted(event, k) for event in spool), {"from": "vw"}, bad_lines
    )


class Writer:
    """A log in Vowpal Wabbit's text under way; used in a `with` statement.

    Problems with a context for each action become action sets, others numbered arms. Rewards may come late: events are
    written in the end, in the order of the decisions, and those without a reward are left out.
    """

    LACKS = frozenset({"time", "detail", "reward_id", "body_hash", "vector"})  # fields of `Event`

    def __init__(self, path: Path, problem: Problem, spec: dict[str, Any]) -> None:
        check_problem(problem, "vw")
        self.unrewarded = 0  # decisions that were left out
        self._problem = problem
        self._file = open_packed(path)
        self._joined = Joined()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                end = "\n" if self._problem.context_kind == "dense" else "\n\n"
                for event, reward in self._joined:
                    if reward is None:
                        self.unrewarded += 1
                        continue
                    self._file.write((_written(event, reward, self._problem) + end).encode())

    def write_events(self, events: Iterable[Event]) -> None:
        """Write decisions, and their rewards."""
        for event in events:
            check_decision(event, "vw")
            self._joined.append(event)


def _written(event: Event, reward: float, problem: Problem) -> str:
    """Return a decision and its reward as text: that which it was read from, where nothing else is known now."""
    numbered = problem.context_kind == "dense"
    sent = original(event, "vw")
    if sent is not None:
        text: str = msgspec.json.decode(sent, type=str)
        if _decision(Text(1, text.encode().split(b"\n")), numbered, None).reward == reward:
            return text
    assert event.action is not None
    shared, actions, ids = described(event, problem)
    label = f":{0.0 - reward!r}:{event.propensity!r} "
    tag = f"'{vw_text.word(event.decision_id)} " if event.decision_id else ""
    if numbered:
        named = [entry for entry, row in zip(*entries_of(shared, actions), strict=True) if row == 0]
        arms = "".join(f"{a + 1} " for a in _available(event, problem) if a != event.action)
        return f"{event.action + 1}{label}{arms}{tag}{vw_text.written(vw_text.spaces_of(named))}"
    rows: list[list[tuple[str, str, float]]] = [[] for _ in range(len(actions) + 1)]
    for entry, row in zip(*entries_of(shared, actions), strict=True):
        rows[row].append(entry)
    common, *own = (vw_text.written(vw_text.spaces_of(row)) for row in rows)
    lines = [f"shared {tag}{common}"] if tag or rows[0] else []
    for a, (name, features) in enumerate(zip(ids, own, strict=True)):
        lines.append(f"{f'0{label}' if a == event.action else ''}'{vw_text.word(name)} {features}")
    return "\n".join(lines)


def _available(event: Event, problem: Problem) -> list[int]:
    """Return the arms that could be chosen, none where all could."""
    if event.available is None:
        return []
    mask = np.unpackbits(np.frombuffer(event.available, np.uint8), count=problem.n_arms)
    return [int(a) for a in np.flatnonzero(mask)]


def _fitted(event: Event, k: int) -> Event:
    """Return an event whose mask, if it has one, has room for k arms."""
    return event if event.available is None else event._replace(available=event.available.ljust((k + 7) // 8, b"\0"))


def _packed(listed: tuple[int, ...] | None) -> bytes | None:
    if listed is None:
        return None
    mask = np.zeros(max(listed) + 1, np.bool_)
    mask[list(listed)] = True
    return np.packbits(mask).tobytes()


def _sent(text: Text) -> str:
    return msgspec.json.encode({"from": "vw", "line": b"\n".join(text.lines).decode()}).decode()


def _ids(lines: list[vw_text.Line]) -> str:
    """Return the ids of actions as JSON: their tags, where all have another, and their positions else."""
    tags = [line.tag for line in lines]
    known = "" not in tags and len(set(tags)) == len(tags)
    return msgspec.json.encode(tags if known else [str(a) for a in range(len(lines))]).decode()
