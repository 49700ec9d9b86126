"""Which features weigh most in what a policy expects of rewards: those of the context, and those of each action.

A weight is what a feature adds to the reward that is expected where its value is 1, as it is of words and strings. The
table of weights knows slots alone: names are those of the features in the newest decisions on record, and where there
is no record in those that the engine remembers. Nobody is told a name that came to another experiment.
"""

from __future__ import annotations

import json
import marshal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.features import Cells, Encoder, Entry, named
from ...engine.vocabulary import DECISIONS, Array, Features, Instance
from .definition import Definition
from .explanation import EXPLAINING
from .intake import Named
from .weights_schemas import ActionWeights, Weight, Weights

if TYPE_CHECKING:
    from ...engine.storage.store import Store

TOP_MAX = 1000
ACTIONS_WEIGHED = 100  # arms, the first ones
MET_MAX = 20_000  # features of contexts, those that weigh most by themselves
SLOTS_MAX = 1 << 20  # of a table that is looked through for weights without a name
CHUNK = 2048  # slots that are asked for at once
TAIL = 2000  # events of the log that names are taken from
KEPT = 1000  # contexts that an engine without a log remembers,
KEPT_BYTES = 1 << 22  # and what they may take together;
EVERY = 16  # of those that follow the first ones it takes only some: to write one down takes a third of a decision
FLAT = frozenset({str, int, float, bool, type(None)})  # types of values that are written down as they are

Shown = tuple[Any, Sequence[Named] | None]  # the context of a decision, and its actions where they came with the call
Tell = Callable[[Array], Array]  # of slots int64[n] their weights float64[n]


def weights(engine: Any, top: int = 50) -> Weights:
    """Return the `top` features that weigh most for all actions, and of each: `engine.weights(top)`."""
    found: Weights = engine.weights(top)
    return found


def encoder_of(spec: Definition, top: Any) -> Encoder:
    """Return what makes slots of features; raise `InvalidInput` where there are no weights of features to be told."""
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or not 1 <= top <= TOP_MAX:
        raise InvalidInput("bad_top", f"top is {as_seen(top)}: it must be a whole number from 1 to {TOP_MAX}")
    encoder = spec.intake.encoder
    if encoder is None or encoder.dimension is not None:
        raise InvalidInput(
            "no_weights",
            "the contexts are not named features in a table of weights: create it with the context "
            '{"kind": "features"}, or ask for the explanation of a decision',
        )
    return encoder


def no_weights() -> InvalidInput:
    """Return what is raised where a policy has no weights."""
    return InvalidInput("no_weights", f"the policy has no weights of features: take {EXPLAINING.partition(',')[0]}")


def is_small(encoder: Encoder) -> bool:
    """Tell whether all of a table is asked for at once: then the state is needed for that alone."""
    return 1 << encoder.bits <= SLOTS_MAX


def table_of(encoder: Encoder, tell: Tell) -> Tell:
    """Return what tells weights without the state: that of a small table."""
    return tell(np.arange(1 << encoder.bits)).__getitem__


def teller(explain: Callable[..., None], params: Any, state: Any, k: int) -> Tell:
    """Return what tells weights by the state: `explain` is the compiled `loop.explain`, k the number of actions."""
    return partial(_told, explain, params, state, k)


def _told(explain: Callable[..., None], params: Any, state: Any, k: int, slots: Array) -> Array:
    each, place = np.unique(slots, return_inverse=True)
    found = np.zeros(len(each))
    available = np.arange(k) == 0
    for first in range(0, len(each), CHUNK):
        some = each[first : first + CHUNK].astype(np.uint32)
        start = np.full(k + 2, len(some))
        start[:2] = 0  # all of them are features of the first action
        instance = Instance(0, Features(start, some, np.ones(len(some))), available)
        parts = np.zeros((k, len(some) + 1))
        explain(params, state, instance, np.zeros(k), np.zeros(k), np.zeros(k), parts)
        found[first : first + CHUNK] = parts[0, :-1]
    return np.where(np.isfinite(found), found, 0.0)[place]


class Remembered:
    """Contexts that were shown to an engine without a log: the first ones, and in their place some of the later."""

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque()
        self._n = 0
        self.nbytes = 0  # of what is kept, `KEPT_BYTES` at most

    def add(self, context: Any, actions: Sequence[Named] | None) -> None:
        """Remember what was shown of a decision, as it is now: the caller may write into the same object again."""
        self._n += 1
        if self._n > KEPT and self._n % EVERY:
            return
        try:
            written = marshal.dumps((_read_of(context), _read_of(actions)))  # runs nothing of what it meets
        except Exception:  # the decision has nothing to do with it
            return
        if len(written) > KEPT_BYTES:
            return
        self._kept.append(written)
        self.nbytes += len(written)
        while len(self._kept) > KEPT or self.nbytes > KEPT_BYTES:
            self.nbytes -= len(self._kept.popleft())

    def __iter__(self) -> Iterator[Shown]:
        return map(marshal.loads, self._kept)


def _read_of(said: Any) -> Any:
    """Return what the encoder reads of a context or of actions that it took: no keys that begin with an underscore."""
    if isinstance(said, dict):
        if FLAT.issuperset(map(type, chain(said, said.values()))) and "\n_" not in "\n" + "\n".join(said):
            return said  # as most are
        return {str(key): _read_of(value) for key, value in said.items() if key[:1] != "_" or key == "_text"}
    if isinstance(said, str):
        return str(said)
    if isinstance(said, Sequence):
        return said if type(said) is list and FLAT.issuperset(map(type, said)) else list(map(_read_of, said))
    return said if type(said) in FLAT else float(said)


def on_record(store: Store, experiment: int, seq: int) -> Iterator[Shown]:
    """Yield what was shown of the newest decisions on record, up to a seq, but of those that are erased."""
    for event in store.told_events(experiment, max(seq - TAIL, 0), seq, TAIL):
        if event.kind in DECISIONS and event.sent is not None:
            said = json.loads(event.sent)
            if isinstance(said, dict):
                yield said.get("context"), said.get("actions")


def weigh(
    encoder: Encoder, tell: Tell, shown: Iterable[Shown], arms: Sequence[Named], labels: Sequence[str], top: int
) -> Weights:
    """Return the features that weigh most, with the names of those `shown`; `arms` are none where a call lists them."""
    owned = [encoder.entries(None, [arm])[0] for arm in arms[:ACTIONS_WEIGHED]]
    taken = {(space, name) for entries in owned for space, name, _ in entries}
    known = [(space, name, 1.0) for space, name in _met(encoder, shown, arms) if (space, name) not in taken]
    alone = Encoder(encoder.bits, interactions=())
    weight = np.abs(tell(alone.slots(alone.cells(known, [0] * len(known)))))
    most = min(MET_MAX, np.count_nonzero(weight))
    turns = max(map(len, encoder.interactions or ()), default=1)
    if encoder.interactions:  # nobody knows in which order they came, and products have another number in each
        room = encoder.nonzeros / (4 * len(encoder.interactions))
        most = min(most, int(room ** (1 / turns) / turns))
    context = [known[i] for i in np.argsort(-weight, kind="stable")[:most].tolist()]
    context = [entry for turn in range(turns) for entry in context[:: -1 if turn % 2 else 1]]
    shared, slots = _largest(encoder, tell, context, [], top)
    named_slots, actions = [slots], []
    for label, entries in zip(labels, owned, strict=False):
        found, slots = _largest(encoder, tell, context, entries, top)
        actions.append(ActionWeights(label, found))
        named_slots.append(slots)
    unnamed = _unnamed(encoder, tell, np.concatenate(named_slots), top) if is_small(encoder) else []
    return Weights(shared, actions, unnamed)


def _met(encoder: Encoder, shown: Iterable[Shown], arms: Sequence[Named]) -> dict[tuple[str, str], None]:
    """Return the features of what was shown, a namespace and a name each, in the order in which they came."""
    met: dict[tuple[str, str], None] = {}
    for context, actions in shown:
        try:
            entries, _ = encoder.entries(context, actions or arms[:1])
        except InvalidInput:
            continue  # written down by a version that read it in another way
        met.update(dict.fromkeys((space, name) for space, name, _ in entries))
    return met


def _largest(
    encoder: Encoder, tell: Tell, context: list[Entry], own: list[Entry], top: int
) -> tuple[list[Weight], Array]:
    """Return the largest weights of an action, or without one of the context; and the slots that have names."""
    row = 1 if own else 0
    common = context[: encoder.nonzeros // (2 + 2 * len(own))]  # with their products they are no more than it takes
    entries = common + own
    cells = encoder.cells(entries, [0] * len(common) + [1] * len(own))
    cells = Cells(*(part[cells.row == row] for part in cells))
    slots = encoder.slots(cells)
    weight = tell(slots)
    order = np.argsort(-np.abs(weight), kind="stable")
    chosen = dict(zip(slots[order].tolist(), weight[order].tolist(), strict=True))  # as often as they come, once
    best = [(slot, size) for slot, size in islice(chosen.items(), top) if size]
    of_best = Cells(*(part[np.isin(slots, [slot for slot, _ in best])] for part in cells))
    names = named(entries, of_best, encoder.slots(of_best), 2)[row]
    return [Weight(slot, size, names[slot]) for slot, size in best], slots


def _unnamed(encoder: Encoder, tell: Tell, known: Array, top: int) -> list[Weight]:
    """Return the largest weights of slots whose names are not known."""
    weight = tell(np.arange(1 << encoder.bits))
    weight[known] = 0.0
    order = np.argsort(-np.abs(weight), kind="stable")[:top]
    return [Weight(slot, size) for slot, size in zip(order.tolist(), weight[order].tolist(), strict=True) if size]
