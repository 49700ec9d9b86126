"""Reports: what experiments came to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from msgspec import UNSET

from ...engine.changes.worlds import changes_of, standing
from ...engine.errors import InvalidInput
from ...engine.storage.store import Store
from ...engine.vectors.hindsight import NUMBERS_MAX
from ...engine.vocabulary import Change
from ..experiment.report import Report, Since
from ..experiment.worlds import as_found
from ..service.history import History, Part
from ..service.live import Live
from ..service.service import Service
from .endpoint import Answer, Call


async def report(service: Service, call: Call) -> Answer:
    """Report what one experiment came to, with intervals; this reads its whole log.

    It tells of what is committed: of arms their mean rewards, and the mean since the last change of the world; of
    vectors regret, certificate and variation. What other policies would have earned (inverse propensities, doubly
    robust estimates) and a page for people are not built.
    """
    live = service.live(call.path["experiment_id"])
    live.check_usable()
    segments = call.parameter("segments")
    parts = 1 if segments is None else _segments(segments)
    changes = None if live.spec.policy.found is None else await live.turns.take(_changes, live)
    made = await asyncio.to_thread(_read, service.store, live, parts, changes)
    made.experiment_id = call.caller.called(live.row.id)
    return Answer(200, made)


async def _changes(live: Live) -> list[Change]:
    live.check_usable()
    return changes_of(live.spec.policy, live.state)


def _read(store: Store, live: Live, segments: int, found: list[Change] | None) -> Report:
    """Read the log up to its present end; changes that come meanwhile are not counted."""
    key = live.row.key
    seq, decisions = store.last(key)
    changes = store.changes(key)
    rounds = seq - decisions - sum(change.seq <= seq for change in changes)
    history = History(live.spec, changes, live.kind.change_types)
    pages: Iterable[Part] = history.pages(store, key, 0, seq)
    stand = standing(found or [])
    since = Since(stand[-1].place) if stand else None
    if since is not None:
        pages = since.counted(pages)
    made = live.kind.report(live.spec, pages, history.roster.labels, seq, rounds, segments)
    made.changes = UNSET if found is None else as_found(found)
    made.since_change = UNSET if since is None else since.told()
    return made


def _segments(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 7 or not 1 <= int(text) <= NUMBERS_MAX:
        raise InvalidInput(
            "bad_segments", f"segments is {text[:20]!r}: it must be a whole number from 1 to {NUMBERS_MAX}"
        )
    return int(text)
