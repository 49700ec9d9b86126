"""The state of an experiment is set, by a change of its log: other policies decide, or the same ones know other things.

Such a change comes with a base, the state from there on: whoever folds the log begins behind it, and `verify`, which
folds what was before as well, compares the two.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from ...engine.errors import OnearmError
from ...engine.storage.records import Base, Event
from ...engine.storage.store import Store
from ...engine.vocabulary import CHANGE
from ..experiment.compiling import Kernels
from ..experiment.lineup import Member
from ..experiment.spec import Spec
from ..experiment.sums import packed
from .bases import parts_of
from .history import Change, detail_of
from .live import Live
from .pools import Pools
from .refusals import refolding
from .writer import PARTS_MAX, Writer


class Next(NamedTuple):
    """What decides from a change on."""

    spec: Spec
    kernels: Kernels
    members: tuple[Member, ...]
    state: Any
    corrected_to: Mapping[int, int]  # up to which seq policies know corrections, where that is another one now
    floor: int  # the floor that this was made from: another one by now makes it void


async def set_state(
    live: Live, change: Change, following: Next, now: int, store: Store, writer: Writer[Live], pools: Pools
) -> asyncio.Future[None] | None:
    """Make a change that sets the state, and return what is done when it is committed.

    The caller has the turn alone, so that nothing is decided or learned meanwhile: the state is that of this moment.
    Nothing is changed, and this returns None, where a compaction, which takes no turn, raised the floor since what is
    set was made: whoever asks looks again. Where the experiment had to be folded again meanwhile it raises.
    """
    await live.reading.unlocked()
    live.check_open()
    key, seq, before = live.row.key, live.seq + 1, live.state
    kept = live.kind.own.join(following.state, live.kind.own.part(live.own))
    digest = hashlib.sha256()
    left = parts_of(kept, packed(live.tally.sums), key, seq, digest)
    try:
        while parts := await pools.steps.run(lambda: list(islice(left, PARTS_MAX))):
            await writer.run(store.put_base_parts, parts)
        live.check_open()
        if live.state is not before:
            raise refolding()
    except BaseException:
        with suppress(OnearmError):  # parts that are left are of no base: the next one of this seq replaces them
            await asyncio.shield(writer.run(store.sweep_base, key, seq))
        raise
    if live.floor != following.floor:  # nothing is awaited from here to the change: no compaction comes in between
        await writer.run(store.sweep_base, key, seq)
        return None
    assert live.seq + 1 == seq, "whoever changes the state has the turn"
    event = Event(key, seq, CHANGE, detail=detail_of(change), time=now)
    versions = following.spec.versions_json()
    base = Base(key, seq, live.number, digest.hexdigest(), versions, now, seq, whole=True, of_change=True)
    if following.spec is not live.spec:
        live.deciders[seq] = following.spec.deciding
    live.go_on_with(seq, following.state, following.corrected_to)
    live.decide_with(following.spec, following.kernels, following.members)
    return live.queue(event, base=base)
