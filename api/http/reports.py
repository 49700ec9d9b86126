"""Reports: what experiments came to."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UNSET

from ...engine.changes.worlds import changes_of, standing
from ...engine.errors import InvalidInput
from ...engine.states.learned import learned_by
from ...engine.storage.store import Store
from ...engine.vectors.hindsight import NUMBERS_MAX
from ...engine.vocabulary import Certificate, Change, Learned
from ..experiment.report import warnings_of
from ..experiment.report_schemas import Report
from ..experiment.sums import Tally
from ..experiment.windowed import WindowTally
from ..experiment.worlds import as_found
from ..service.history import History
from ..service.live import Live
from ..service.service import Service
from ..service.since import Since
from .call import Call
from .endpoint import Answer
from .requests import whole_number

ARMS_AT_ONCE = 500  # of more arms a report is made in another thread: 2 ms


class Moment(NamedTuple):
    """What a report tells of, as it is at one moment."""

    seq: int
    decisions: int
    rewards: int
    tally: Tally
    labels: tuple[str, ...]
    changes: list[Change] | None  # of the world, where the policy looks for them
    proof: Certificate | None
    learned: Learned | None  # of states that decisions move
    open: int | None  # decisions whose windows are; None where they have none
    held: int  # rewards whose decisions were not made yet
    closed: int  # the seq up to which windows that began are closed, where decisions have windows
    counts_to: int | None  # the same where what was learned of others is left out; None where it is not


async def report(service: Service, call: Call) -> Answer:
    """Report what one experiment came to, with intervals.

    It tells of what is committed: of arms their mean rewards, and the mean since the last change of the world; of
    vectors regret, certificate and variation. What other policies would have earned (inverse propensities, doubly
    robust estimates) and a page for people are not built.

    This is counted as events come, and costs O(arms). Regret by segments reads the whole log, and what came since a
    change what is new since it was last asked for: these wait for their turn.
    """
    live = service.live(call.path["experiment_id"])
    live.check_usable()
    segments = call.parameter("segments")
    parts = 1 if segments is None else whole_number("segments", segments, NUMBERS_MAX)
    if parts != 1 and live.kind.regret_by_segment is None:
        raise InvalidInput(
            "no_segments", f"{live.spec.id!r} decides {live.kind.plural}: segments are for regret against points"
        )
    made, now = await counted(service, live)
    if parts != 1:
        made.segments = parts
        made.regret_by_segment = await service.pools.reads.run(_by_segment, service.store, live, now, parts)
    if now.changes is not None:
        made.changes = as_found(now.changes)
        stand = standing(now.changes)
        made.since_change = (await _since(service, live, stand[-1].place, now)).told() if stand else UNSET
    made.experiment_id = call.caller.called(live.row.id)
    return Answer(200, made)


async def counted(service: Service, live: Live) -> tuple[Report, Moment]:
    """Return what a report tells without reading the log, in O(arms), and of which moment."""
    async with service.lanes.reports.turn():
        async with live.keeping.awake():
            now = await live.turns.take(_moment, live)
        if len(now.labels) > ARMS_AT_ONCE:
            made = await service.pools.lookups.run(_told, live, now)
        else:
            made = _told(live, now)
    await live.committed()
    return made, now


async def _moment(live: Live) -> Moment:
    live.check_usable()
    return Moment(
        live.seq,
        live.number,
        live.rewards,
        live.tally.copied(),
        live.roster.labels,
        None if live.spec.policy.found is None else changes_of(live.spec.policy, live.state),
        None if live.kind.certificate is None else live.kind.certificate(live),
        learned_by(live.spec.policy, live.state),
        None if live.windows is None else live.windows.n_open(live.number),
        0 if live.windows is None else live.windows.held(),
        0 if live.windows is None else live.windows.closed_to(live.seq),
        None if live.windows is None else live.windows.counts_to(live.seq),
    )


def _told(live: Live, now: Moment) -> Report:
    made = live.kind.report(live.spec, now.tally, now.labels, now.seq, now.decisions, now.proof)
    if live.kind.has_rewards:
        made.warnings = live.spec.warnings + warnings_of(now.tally.all, live.spec) or UNSET
    if now.learned is not None:
        made.plan = live.spec.intake.plan(now.labels, now.learned) or UNSET
    if now.open is not None and isinstance(now.tally, WindowTally):
        found = now.tally.windowed
        made.closed_by_default, made.open, made.late = found.defaults, now.open, found.late
        made.until = now.closed
        made.early, made.lapsed = now.held, found.early - found.taken - now.held
        made.never_shown, made.replaced = found.lapsed, found.replaced
    return made


async def _since(service: Service, live: Live, place: int, now: Moment) -> Since:
    """Return what came of the decisions from a place on, up to a moment, and keep it for the next report."""
    since = live.since if live.since is not None and live.since.place == place else Since(place)
    since = await service.pools.reads.run(since.read, service.store, live.row.key, now.seq, now.counts_to)
    live.since = since
    return since


def _by_segment(store: Store, live: Live, now: Moment, segments: int) -> float | None:
    """Read the log up to a moment."""
    key = live.row.key
    history = History(live.created, store.changes(key), live.kind.change_types)
    pages = history.pages(store, key, 0, now.seq, bare=True)  # points and losses, which slim events have as well
    assert live.kind.regret_by_segment is not None
    return live.kind.regret_by_segment(live.spec, pages, now.rewards, segments)
