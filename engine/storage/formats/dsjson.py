"""Contextual bandit logs of Vowpal Wabbit and Azure Personalizer: "dsjson", a JSON object a line.

    {"_label_cost": -1.0, "_label_probability": 0.85, "_labelIndex": 0, "a": [1, 2], "p": [0.85, 0.15],
     "c": {"user": {"age": 31}, "_multi": [{"i": {"id": "a"}}, {"i": {"id": "b"}}]}}

The action is `_labelIndex`, from 0, or `_label_Action`, from 1: a position in `_multi`, whatever `a` counts from. The
rest of `c` is the shared context; keys that begin with an underscore are no features. Upper and lower case of the names
of labels do not matter.

The reward is minus `_original_label_cost`, the cost that was observed, where a line has it, and minus `_label_cost`
else. The two differ in apprentice mode, where the label says whether the action is that of the baseline: that is for
learning, and says nothing of what an action is worth. A line without a cost is a decision without a reward; one whose
list of outcomes, `o`, has no value has the reward that the joiner takes for the default, and is counted in
`Rows.unobserved`.

Where events were dropped before they were logged, `pdrop` of them, each that is left stands for 1 / (1 - pdrop). This
matters only where shares differ: the propensity is then multiplied by (1 - pdrop) and by the mean of 1 / (1 - pdrop),
so that mean weights stay 1 and estimates are means over all events, those dropped included.

Left out, counted and named are lines that are no JSON object (checkpoints among them), rewards without a decision,
decisions that were never activated (`_skipLearn`), and those that are no contextual bandit's: with slots
(`slots.py` reads them), of a continuous action, without a label.

Source: the reader of vowpal_wabbit 9, parse_example_json.cc, and the logs that come with it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ...contexts import pack_context
from ...errors import InvalidInput
from ...features import Encoder
from ...problem import REWARD_MAX
from ...vocabulary import GIVEN, LEARN, Array, Columns, Features, Problem
from ..events import Events
from ..log import BadLines, Log, gathered, no_good_line, reading
from ..rows import Page, Rows, Wanted
from ..source import Source
from ..spool import Joined, Spool
from ..tables import Event
from .described import check_decision, check_problem, described, original
from .packed import open_packed
from .segments import Segments

OTHERS = {"_outcomes": "other_problem", "_label_ca": "other_problem", "rewardvalue": "dangling_reward"}
PIECE = 1 << 18  # bytes
BISECT = 32  # lines; so few are read one by one where one of them is bad
COSTS = ("_label_cost", "_original_label_cost")
NAMED = Problem(1, (1, 1), nonzeros=1)  # any with named features: all are packed alike
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Outcome(msgspec.Struct, gc=False):
    v: Any = None


class _Context(msgspec.Struct, gc=False):
    actions: list[msgspec.Raw] = msgspec.field(name="_multi")


class _Usual(msgspec.Struct, gc=False):
    """A line as it usually is: what is not is read by `_decision`, which knows all of them."""

    cost: float = msgspec.field(name="_label_cost")
    probability: float = msgspec.field(name="_label_probability")
    index: int = msgspec.field(name="_labelIndex")
    c: _Context
    o: list[_Outcome] | None = None
    observed_cost: float | None = msgspec.field(name="_original_label_cost", default=None)
    pdrop: float = 0.0
    skip: bool = msgspec.field(name="_skipLearn", default=False)
    slots: None = msgspec.field(name="_outcomes", default=None)  # what a line of another kind has
    continuous: None = msgspec.field(name="_label_ca", default=None)
    dangling: None = msgspec.field(name="RewardValue", default=None)


USUAL = msgspec.json.Decoder(_Usual)


class Line(NamedTuple):
    """A decision, and its reward where it has one."""

    action: int
    propensity: float
    kept: float  # probability that such an event was not dropped, > 0
    reward: float  # NaN without
    size: int  # how many actions there were
    unobserved: bool = False  # the reward is a default
    relabelled: bool = False  # the label's cost is not the observed one


class _Labels(NamedTuple):
    """Lines as arrays of n."""

    action: Array
    propensity: Array
    kept: Array
    reward: Array
    size: Array
    unobserved: Array
    relabelled: Array
    number: Array  # int64[n], of the line, from 1


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions. Bad lines are counted and named; the others are read.

    Contexts are named features, or rows of numbers where `wanted` has a dimension. A segment is a key of the line, or
    a feature of the shared context: "namespace.feature".
    """
    return _read(source, wanted, Encoder(dimension=wanted.dimension))


def read(path: Path, encoder: Encoder | None = None) -> Log:
    """Read a log at once, with the features that `encoder` makes."""
    with _read(Source(path), Wanted(), encoder or Encoder()) as rows:
        if not len(rows):
            raise no_good_line(path, rows.bad_lines)
        return Log(rows.problem, rows=rows.columns(), bad_lines=rows.bad_lines)


def _read(source: Source, wanted: Wanted, encoder: Encoder) -> Rows:
    reader = _Reader(wanted, encoder)
    try:
        with reading(source.path, "a dsjson log"):
            for block in source.blocks():
                reader.read(block)
        if source.broken is not None:
            reader.bad_lines.add("truncated", reader.lines + 1)
        if not reader.rows.decisions:
            raise no_good_line(source.path, reader.bad_lines)
        return reader.finished()
    except InvalidInput:
        reader.rows.close()
        raise


class _Reader:
    """Reads blocks of lines into rows."""

    def __init__(self, wanted: Wanted, encoder: Encoder) -> None:
        self.rows = Rows()
        self.bad_lines = self.rows.bad_lines
        self.lines = 0  # read so far
        self._wanted, self._encoder = wanted, encoder
        self._segments = Segments(self.rows.segments)
        self._segment_seen = False
        self._n_arms, self._nonzeros = 1, 1
        self._relabelled = 0
        self._shares = _Shares()

    def read(self, block: bytes) -> None:
        """Read some lines, which follow those that were read before."""
        if self._wanted.contexts or self._wanted.segment is not None:
            self._append(*self._one_by_one(block))
        else:
            parts = [labels for piece in _pieces(block) for labels in self._at_once(piece)]
            self._append(_Labels._make(map(np.concatenate, zip(*parts, strict=True))), [], [])

    def _at_once(self, block: bytes) -> list[_Labels]:
        """Return lines without their contexts; where one of them is not as usual, the others still are."""
        labels = _usual(block, self.lines + 1, self.bad_lines)
        if labels is not None:
            self.lines += _count(block)
            return [labels]
        middle = block.find(b"\n", len(block) // 2) + 1
        if middle in (0, len(block)) or _count(block) <= BISECT:
            return [self._one_by_one(block)[0]]
        return [*self._at_once(block[:middle]), *self._at_once(block[middle:])]

    def _one_by_one(self, block: bytes) -> tuple[_Labels, list[Any], list[Any]]:
        """Return the labels of rewarded decisions, and as many contexts and segments, where these are wanted."""
        found: list[Line] = []
        numbers: list[int] = []
        contexts: list[Any] = []
        segments: list[Any] = []
        for text in io.BytesIO(block):
            self.lines += 1
            line = _line(text, self.lines, self.bad_lines)
            if line is None:
                continue
            event, decision = line
            if self._wanted.contexts:
                try:
                    context = _encoded(event["c"], self._encoder)
                except InvalidInput:
                    self.bad_lines.add("bad_features", self.lines)
                    continue
            if np.isnan(decision.reward):
                self.rows.decisions += 1
                continue
            if self._wanted.contexts:
                contexts.append(context)
            if self._wanted.segment is not None:
                segments.append(_segment(event, self._wanted.segment))
            found.append(decision)
            numbers.append(self.lines)
        return _labels(found, numbers), contexts, segments

    def _append(self, labels: _Labels, contexts: list[Any], segments: list[Any]) -> None:
        """Add a page of rewarded decisions."""
        n = len(labels.number)
        if not n:
            return
        self.rows.decisions += n
        self.rows.unobserved += int(np.count_nonzero(labels.unobserved))
        self._relabelled += int(np.count_nonzero(labels.relabelled))
        self._n_arms = max(self._n_arms, int(labels.size.max()))
        self._shares.add(labels.propensity, labels.kept)
        context: Any = np.zeros((n, 0))
        if not contexts:
            available = labels.size[:, np.newaxis] > np.arange(labels.size.max())
            available = available[:1] if available.all() else available
        else:
            context, available = gathered(contexts, [None] * n, self._problem())
            if isinstance(context, Features):
                self._nonzeros = max(self._nonzeros, *(len(each.index) for each in contexts))
        place = np.zeros(n, np.int64)
        if segments:
            self._segment_seen |= any(value is not None for value in segments)
            place = self._segments.places(segments)
        columns = Columns(
            np.zeros(n, np.int8),
            labels.number,
            labels.action,
            labels.propensity * labels.kept,
            labels.reward,
            np.zeros((n, 0)),
            context,
            available,
        )
        self.rows.append(Page(columns, labels.number, place))

    def finished(self) -> Rows:
        """Return the rows, with what is known at the end of the log only."""
        if self._wanted.segment is not None and len(self.rows.segments) and not self._segment_seen:
            raise InvalidInput(
                "bad_segment",
                f"the segment is {self._wanted.segment!r}: no line has it; name a key of the lines, or a feature of "
                "their shared context as namespace.feature",
            )
        k, factor = self._n_arms, self._shares.factor
        self.rows.problem = self._problem()
        self.rows.finish = lambda page: page._replace(columns=_completed(page.columns, k, factor))
        self.rows.notes += self._notes()
        return self.rows

    def _notes(self) -> Iterator[str]:
        if n := self.rows.unobserved:
            yield f"{n} of {self.rows.decisions} decisions have no outcome: their reward is the default of the joiner"
        if self._relabelled:
            yield (
                f"{self._relabelled} lines have labels for learning (apprentice mode): rewards are the observed ones, "
                "of _original_label_cost"
            )
        if n := self.bad_lines.count["dangling_reward"]:
            yield f"{n} rewards came without a decision, and are left out"
        if self._shares.differ:
            yield (
                f"{1 - self._shares.most:g} to {1 - self._shares.least:g} of the events were dropped (pdrop): each row "
                "counts for those like it"
            )
            if self._shares.factor < self._shares.mean:
                self.rows.ratios_only = True
                yield (
                    "these shares are so different that only estimates that divide by the sum of weights are right; "
                    "match, dm and the log's own value are of the events that were kept"
                )

    def _problem(self) -> Problem:
        """Return the problem of the largest action set."""
        k = self._n_arms
        if not self._wanted.contexts:
            return Problem(k)
        if self._encoder.dimension is not None:
            return Problem(k, (k, self._encoder.dimension))
        return Problem(k, (k, 1 << self._encoder.bits), nonzeros=self._nonzeros)


class _Shares:
    """Which part of the events was kept, and what a propensity is multiplied by for it."""

    def __init__(self) -> None:
        self.least, self.most = 1.0, 0.0
        self._n, self._events, self._propensity_max = 0, 0.0, 0.0

    def add(self, propensity: Array, kept: Array) -> None:
        """Count rows."""
        self.least, self.most = min(self.least, float(kept.min())), max(self.most, float(kept.max()))
        self._n += len(kept)
        self._events += float((1.0 / kept).sum())
        self._propensity_max = max(self._propensity_max, float((propensity * kept).max()))

    @property
    def differ(self) -> bool:
        """Whether not all events had the same share."""
        return self.least < self.most

    @property
    def mean(self) -> float:
        """Return how many events a row stands for."""
        return self._events / self._n if self._n else 1.0

    @property
    def factor(self) -> float:
        """Return `mean`, or less where a propensity would pass 1."""
        if not self.differ:
            return 1.0 / self.least
        return min(self.mean, 1.0 / self._propensity_max)


def _pieces(block: bytes) -> Iterator[bytes]:
    """Yield whole lines, so few that what is made of them stays in the processor's cache."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", start + PIECE) + 1 or len(block)
        yield block[start:end]
        start = end


def _usual(block: bytes, first: int, bad_lines: BadLines) -> _Labels | None:
    """Return the decisions of lines that are all as usual, without those that were not activated; or None."""
    if not _has_usual_keys(block):
        return None
    try:
        lines = USUAL.decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not lines or len(lines) != _count(block):  # empty lines are not decoded, but have numbers
        return None
    action = np.array([line.index for line in lines])
    size = np.array([len(line.c.actions) for line in lines])
    propensity = np.array([line.probability for line in lines])
    rare = any(line.pdrop or line.skip for line in lines)
    kept = 1.0 - np.array([line.pdrop for line in lines]) if rare else np.ones(len(lines))
    label = np.array([line.cost for line in lines])
    cost = np.array([line.cost if line.observed_cost is None else line.observed_cost for line in lines])
    good = (action >= 0) & (action < size) & (propensity > 0.0) & (propensity <= 1.0) & (kept > 0.0) & (kept <= 1.0)
    if action.dtype != np.int64 or not (good & (np.abs(label) <= REWARD_MAX) & (np.abs(cost) <= REWARD_MAX)).all():
        return None
    unobserved = np.array([not line.o or line.o[0].v is None for line in lines])
    for row in np.flatnonzero(unobserved):
        unobserved[row] = _lacks_outcome(lines[row].o)
    number = np.arange(first, first + len(lines))
    labels = _Labels(action, propensity, kept, 0.0 - cost, size, unobserved, label != cost, number)
    if not rare:
        return labels
    skipped = np.array([line.skip for line in lines])
    bad_lines.add("skip_learn", *number[skipped].tolist())
    return _Labels._make(column[~skipped] for column in labels)


def _lacks_outcome(outcomes: list[_Outcome] | None) -> bool:
    return outcomes is not None and all(each.v is None for each in outcomes)


def _has_usual_keys(block: bytes) -> bool:
    """Whether no key may be that of slots (`_slots`, `_slot_id`), or `_skipLearn` in other letters."""
    letters = np.frombuffer(block, np.uint8)
    found = (letters[1:-2] == ord("_")) & (letters[2:-1] | 32 == ord("s"))
    if not found.any():
        return True
    at = np.flatnonzero(found) + 1
    at = at[letters[at - 1] == ord('"')]
    then = letters[at + 2] | 32
    skips = np.count_nonzero(then == ord("k"))
    return not (then == ord("l")).any() and (not skips or skips == block.count(b'"_skipLearn"'))


def _count(block: bytes) -> int:
    """Return the number of lines."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n"))) + (not block.endswith(b"\n"))


def parsed(text: bytes, number: int, bad_lines: BadLines) -> dict[str, Any] | None:
    """Return the object that a line is, its keys in lower case; None where it is none, which is counted, or empty."""
    if not text.strip():
        return None
    if not text.lstrip().startswith(b"{"):
        bad_lines.add("no_decision", number)
        return None
    try:
        return {key.lower(): value for key, value in msgspec.json.decode(text, type=dict[str, Any]).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        bad_lines.add("not_json" if text.endswith(b"\n") else "truncated", number)
        return None


def _line(text: bytes, number: int, bad_lines: BadLines) -> tuple[dict[str, Any], Line] | None:
    """Return what a line holds, and its decision; or None where it is bad or empty."""
    event = parsed(text, number, bad_lines)
    if event is None:
        return None
    found = _decision(event)
    if isinstance(found, Line):
        return event, found
    bad_lines.add(found, number)
    return None


def _decision(event: dict[str, Any]) -> Line | str:
    """Return the decision, or what is wrong."""
    for key, kind in OTHERS.items():
        if event.get(key) is not None:
            return kind
    context = event.get("c")
    if not isinstance(context, dict):
        return "no_decision"
    actions = context.get("_multi")
    if not isinstance(actions, list) or not actions:
        return "no_actions"
    if "_slots" in context or any(isinstance(action, dict) and "_slot_id" in action for action in actions):
        return "other_problem"
    if event.get("_skiplearn") is True:
        return "skip_learn"
    propensity, action = event.get("_label_probability"), event.get("_labelindex")
    if action is None and isinstance(event.get("_label_action"), int):
        action = event["_label_action"] - 1
    if propensity is None or action is None:
        return "missing_label"
    if not isinstance(action, int) or isinstance(action, bool) or not 0 <= action < len(actions):
        return "bad_action"
    label: Any = event.get("_label_cost")
    cost: Any = label if event.get("_original_label_cost") is None else event["_original_label_cost"]
    if not all(each is None or is_number(each) for each in (label, cost)):
        return "bad_reward"
    if not is_number(propensity) or not 0.0 < propensity <= 1.0:
        return "bad_propensity"
    kept = kept_of(event)
    if kept is None:
        return "bad_pdrop"
    return Line(
        action,
        float(propensity),
        kept,
        np.nan if label is None else 0.0 - cost,
        len(actions),
        label is not None and "o" in event and not _has_outcome(event["o"]),
        label is not None and label != cost,
    )


def kept_of(event: dict[str, Any]) -> float | None:
    """Return how likely such an event was kept, None where that is no number above 0."""
    dropped = event.get("pdrop", 0.0)
    return 1.0 - dropped if is_number(dropped) and 0.0 <= dropped < 1.0 else None


def _has_outcome(outcomes: Any) -> bool:
    """Whether something was observed: what has no value tells only that a decision was activated."""
    if not isinstance(outcomes, list):
        return False
    return any(isinstance(each, dict) and each.get("v") is not None for each in outcomes)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number, not too large for a reward."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= REWARD_MAX


def _labels(lines: list[Line], numbers: list[int]) -> _Labels:
    kinds = (np.int64, np.float64, np.float64, np.float64, np.int64, np.bool_, np.bool_)
    columns = zip(*lines, strict=True) if lines else ((),) * len(kinds)
    arrays: list[Array] = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return _Labels._make([*arrays, np.array(numbers, np.int64)])


def _encoded(context: dict[str, Any], encoder: Encoder) -> Any:
    """Return the features of a line as one row of contexts."""
    actions = context["_multi"]
    if encoder.dimension is not None:
        return encoder.dense(context, actions)[np.newaxis]
    found = encoder.encode(context, actions)
    return found._replace(start=found.start[np.newaxis])


def _segment(event: dict[str, Any], name: str) -> Any:
    """Return the value of a key of the line, or of a feature of its context; None where it has none."""
    value = event.get(name.lower())
    if value is None:
        found: list[Any] = [event["c"]]
        for part in name.split("."):
            inner = [each[part] for each in found if isinstance(each, dict) and part in each]
            found = [each for part in inner for each in (part if isinstance(part, list) else [part])]
        value = found[0] if found else None
    return None if isinstance(value, dict | list) else value


def _completed(columns: Columns, k: int, factor: float) -> Columns:
    """Return a page as it is once the whole log was read: with room for k actions, and with its propensities."""
    more = k - columns.available.shape[1]
    context, available = columns.context, columns.available
    if more:
        available = np.pad(available, ((0, 0), (0, more)))
        if isinstance(context, Features):
            context = context._replace(start=np.pad(context.start, ((0, 0), (0, more)), mode="edge"))
        elif context.ndim == 3:
            context = np.pad(context, ((0, 0), (0, more), (0, 0)))
    return columns._replace(propensity=columns.propensity * factor, context=context, available=available)


def read_events(source: Source) -> Events:
    """Read every decision with its reward, for `onearm convert`; the propensities are those of the lines."""
    encoder, bad_lines, spool = Encoder(), BadLines(), Spool()
    k, nonzeros, seq, lines, decisions = 1, 1, 0, 0, 0
    with reading(source.path, "a dsjson log"):
        for lines, text in source.lines():
            line = _line(text, lines, bad_lines)
            if line is None:
                continue
            event, decision = line
            try:
                context = encoder.encode(event["c"], event["c"]["_multi"])
            except InvalidInput:
                bad_lines.add("bad_features", lines)
                continue
            k, nonzeros = max(k, decision.size), max(nonzeros, len(context.index))
            given = Event(
                experiment=0,
                seq=(seq := seq + 1),
                kind=GIVEN,
                number=decisions,
                action=decision.action,
                propensity=decision.propensity,
                context=pack_context(context, NAMED),
                sent=_sent(text),
                decision_id=_text(event.get("eventid", event.get("event_id"))),
                time=_microseconds(event.get("timestamp")),
                actions=_ids(event["c"]["_multi"]),
            )
            spool.append(given)
            if not np.isnan(decision.reward):
                learn = Event(0, (seq := seq + 1), LEARN, decisions, decision.action, decision.propensity)
                spool.append(learn._replace(reward=decision.reward, reward_id="", time=given.time))
            decisions += 1
    if source.broken is not None:
        bad_lines.add("truncated", lines + 1)
    if not decisions:
        raise no_good_line(source.path, bad_lines)
    problem = Problem(k, (k, 1 << encoder.bits), nonzeros=nonzeros)
    return Events(problem, iter(spool), {"from": "dsjson"}, bad_lines)


class Writer:
    """A dsjson log under way, with one line a decision; used in a `with` statement.

    Rewards may come late: lines are written in the end, in the order of the decisions.
    """

    LACKS = frozenset({"available", "detail", "reward_id", "body_hash", "vector"})  # fields of `Event`

    def __init__(self, path: Path, problem: Problem, spec: dict[str, Any]) -> None:
        check_problem(problem, "dsjson")
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
                self._file.writelines(_written(event, reward, self._problem) for event, reward in self._joined)

    def write_events(self, events: Iterable[Event]) -> None:
        """Write decisions, and their rewards."""
        for event in events:
            check_decision(event, "dsjson")
            self._joined.append(event)


def _written(event: Event, reward: float | None, problem: Problem) -> bytes:
    """Return a decision and its reward as a line: the one that it was read from, where nothing else is known now."""
    text = original(event, "dsjson")
    if text is None:
        line = _described(event, reward, problem)
    else:
        line = msgspec.json.decode(text, type=dict[str, Any])
        was = _decision({key.lower(): value for key, value in line.items()})
        if isinstance(was, Line) and (np.isnan(was.reward) if reward is None else was.reward == reward):
            return text + b"\n"
        line = {key: value for key, value in line.items() if key.lower() not in COSTS}
    cost = {} if reward is None else {"_label_cost": 0.0 - reward}
    return msgspec.json.encode(cost | line) + b"\n"


def _described(event: Event, reward: float | None, problem: Problem) -> dict[str, Any]:
    """Return a decision that was read from something else."""
    assert event.action is not None
    shared, actions, ids = described(event, problem)
    name = event.decision_id or str(event.number)
    others = [a + 1 for a in range(len(actions)) if a != event.action]
    return {
        "_label_probability": event.propensity,
        "_label_Action": event.action + 1,
        "_labelIndex": event.action,
        "o": [] if reward is None else [{"v": reward, "EventId": name, "ActionTaken": False}],
        **({"Timestamp": _timestamp(event.time)} if event.time else {}),
        "Version": "1",
        "EventId": name,
        "a": [event.action + 1, *others],
        "c": shared | {"_multi": [{"_tag": tag} | action for tag, action in zip(ids, actions, strict=True)]},
    }


def _sent(text: bytes) -> str:
    return msgspec.json.encode({"from": "dsjson", "line": msgspec.Raw(text.strip())}).decode()


def _ids(actions: list[Any]) -> str:
    """Return the ids of actions as JSON: their tags, where all have another, and their positions else."""
    tags = [_tag(action) for action in actions]
    known = None not in tags and len(set(tags)) == len(tags)
    return msgspec.json.encode(tags if known else [str(a) for a in range(len(actions))]).decode()


def _tag(action: dict[str, Any]) -> str | None:
    return next((_text(value) for key, value in action.items() if key.lower() == "_tag"), None)


def _text(value: Any) -> str | None:
    """Return an id; what is no text is none."""
    return value if isinstance(value, str) and value else None


def _microseconds(stamp: Any) -> int:
    """Return a time as the log keeps it, without a zone in UTC; 0 where there is none."""
    try:
        time = datetime.fromisoformat(stamp)
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError, OverflowError):
        return 0


def _timestamp(time: int) -> str:
    return (EPOCH + timedelta(microseconds=time)).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
