"""The policies of experiments: they are added, take parts, and retire, and are watched meanwhile.

A change is made in the turn of the experiment, alone: it takes effect at an event, before which whoever begins to
decide has learned everything. What a guard says is done as if a person had asked for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, NamedTuple
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET, UnsetType

from ...engine import snapshot
from ...engine.errors import Conflict, InvalidInput, NotFound, OnearmError
from ...engine.problem import check_param, fitted
from ...engine.protocol import has_law
from ...engine.storage.store import Store
from ...engine.vocabulary import Policy
from ...policies import catalog
from ..experiment.lineup import (
    LEADING,
    Member,
    PoliciesChanged,
    assigned,
    in_part,
    joined,
    leader,
    policy_of,
    retired,
    shares_of,
    states_of,
    with_members,
)
from ..experiment.lineup_schemas import Guard, LearnFrom, Origin, Role
from ..experiment.spec import Spec
from ..tasks import ended
from .floor import check_knows
from .live import Live
from .origins import Known, grown_to_here, is_origin, state_of_origin
from .pools import Pools
from .room import Room
from .setting import Next, set_state
from .watching import PAGE, Start, Watch, starts_of
from .writer import Writer

EVERY = 0.25  # seconds between two looks at what was logged
NEAR = 100  # events that are left for a turn
ROUNDS = 20  # of reading what was logged meanwhile
PAUSE = 19.0  # times as long as a page took nothing is read: deciding has the rest
LATER = 10.0  # seconds until one that could not be watched is looked at again
ALPHA_MIN = 1e-9
MEMBERS_MAX = 20  # of one experiment

log = logging.getLogger("onearm")


class Wanted(NamedTuple):
    """What is asked for a policy: its part, its share of the decisions, and what moves it by itself."""

    role: Role
    share: float | None = None
    learn_from: LearnFrom = "reward"
    guard: Guard | UnsetType | None = UNSET  # None takes one off
    former: Role | None = "shadow"  # what whoever had the part does from then on; None: it retires
    former_share: float | None = None  # of that one, where it has one then


class Brought(NamedTuple):
    """What a policy knew in another experiment, with which it begins."""

    origin: Origin
    source: Live


Beginning = Literal["empty", "log"] | Brought


class Policies:
    """The policies of all experiments. Its methods belong to the event loop's thread."""

    def __init__(
        self, lives: Callable[[], Iterable[Live]], store: Store, writer: Writer[Live], pools: Pools, room: Room
    ) -> None:
        self._lives = lives
        self._set = store, writer, pools
        self._store, self._pools, self._room = store, pools, room
        self._watches: dict[int, Watch] = {}  # by the key of the experiment
        self._rooms: dict[int, str] = {}  # under which names shadows take memory, by the same
        self._later: dict[int, float] = {}  # when one that could not be watched is looked at again, by the same
        self._making: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # of watches, by the same
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.get_running_loop().create_task(self._keep_on())

    async def stop(self) -> None:
        """Read no more."""
        await ended(self._task)

    def watch(self, live: Live) -> Watch | None:
        """Return what is known of the policies of an experiment; None where there is one alone."""
        return self._watches.get(live.row.key)

    async def add(self, live: Live, said: Any, wanted: Wanted, start: Beginning) -> tuple[Member, bool]:
        """Add a policy, given by its name or spec; return it, and whether it is new. The same again changes nothing."""
        check_several(live)
        spec = catalog.in_full({"name": said, "params": {}} if isinstance(said, str) else said)
        policy, size = await self._pools.creations.run(_fitting, live.created, spec)
        if start == "log" and wanted.role != "shadow":
            raise InvalidInput(
                "bad_start",
                f'a {wanted.role} decides at once, and cannot read the log before: add it as "shadow", '
                "and promote it once it has caught up",
            )

        known: Known | None = None
        if isinstance(start, Brought):
            last = await start.source.committed()
            about = self._store, start.origin, start.source, last, live, policy
            known = await self._pools.creations.run(state_of_origin, *about)

        async def change() -> tuple[Member, bool]:
            if (there := _known(live, policy.spec, wanted, start)) is not None:
                return there, False
            _check_another(live, policy, start)
            if wanted.role == "shadow":
                watch = self._watches.get(live.row.key)
                self._room.check(_room_of(live), size + (0 if watch is None else watch.state_bytes))
            seq, number = live.seq + 1, max(live.named) + 1
            begun = 0 if start == "log" else seq
            part = (wanted.role, _share(wanted), begun, seq, wanted.guard or None, _learn_from(wanted))
            member = Member(number, policy.spec, *part, None if known is None else known.origin)
            state = None if known is None else grown_to_here(known, policy, live)
            members = assigned(live.members, member, wanted.former, former_share(wanted), seq)
            await self._change(live, members, "added", number, state)
            return member, True

        return await live.turns.alone(change)

    async def assign(self, live: Live, number: int, wanted: Wanted) -> Member:
        """Give a policy of an experiment another part, or another share."""
        check_several(live)
        member = member_of(live, number)
        if member.role in LEADING and wanted.role not in LEADING:
            raise Conflict("is_live", f"policy {number} is {member.role}: promote another one, and it will be free")
        if member.role == "shadow" and wanted.role != "shadow":
            await self._caught_up(live)

        return await live.turns.alone(self._assign, live, number, wanted, "assigned")

    async def _assign(self, live: Live, number: int, wanted: Wanted, why: str, **told: Any) -> Member:
        """Give a policy its part, in a turn of the caller."""
        member, seq = member_of(live, number), live.seq + 1
        guard = member.guard if wanted.guard is UNSET else wanted.guard
        if wanted.role in LEADING:
            guard = None
        part = {"role": wanted.role, "share": _share(wanted), "guard": guard, "learn_from": _learn_from(wanted)}
        if all(getattr(member, name) == value for name, value in part.items()):
            return member
        now = msgspec.structs.replace(member, since=seq, **part)
        members = assigned(live.members, now, wanted.former, former_share(wanted), seq)
        await self._change(live, members, why, number, **told)
        return now

    async def retire(self, live: Live, number: int) -> None:
        """Let a policy play no part any more; its number is not used again. One that plays none stays as it is."""
        check_several(live)
        await live.turns.alone(self._retire, live, number, "retired")

    async def _retire(self, live: Live, number: int, why: str, **told: Any) -> None:
        """Let a policy retire, in a turn of the caller."""
        if number in live.named and all(member.policy != number for member in live.members):
            return
        if (role := member_of(live, number).role) in LEADING:
            says = f"policy {number} is {role}, and somebody has to decide: promote another one first"
            raise Conflict("is_live", says)
        await self._change(live, retired(live.members, number, live.seq + 1), why, number, **told)

    async def _change(
        self, live: Live, members: tuple[Member, ...], why: str, number: int, brought: Any = None, **told: Any
    ) -> None:
        """Let these play their parts from the next event on, one with what it `brought`, in a turn of the caller."""
        live.check_open()
        _check_members(live, members)
        spec = await self._pools.creations.run(with_members, live.created, members)
        kernels = await self._pools.creations.run(live.kind.kernels, spec)
        self._room.check(live.row.id, max(spec.state_bytes, 1) * live.problem.n_arms // live.created.problem.n_arms)
        await live.committed()
        change_seq = live.seq + 1
        states = states_of(live.spec, live.state)
        if brought is not None and number in spec.numbers:
            states[number] = snapshot.copied(brought)
        for member in members:
            if member.policy in spec.numbers and member.policy not in states:
                states[member.policy] = await self._state(live, member)
        state = joined(spec, states, live.problem)
        known = {member.policy: change_seq for member in members if member.begun == change_seq}
        packed = None if brought is None else snapshot.pack(brought)
        change = PoliciesChanged(live.number, members, why, number, told or None, packed)
        await self._set_to(live, change, Next(spec, kernels, members, state, known, live.floor))
        if (watch := self._watches.get(live.row.key)) is not None:
            async with watch.one:  # whoever decided until now goes on from what it knows
                for member in members:
                    if member.policy in states and member.policy not in spec.numbers and watch.seq < change_seq:
                        watch.starts.append(Start(member, change_seq, states[member.policy]))

    async def _set_to(self, live: Live, change: PoliciesChanged, following: Next) -> None:
        """Make a change, where whoever joins knows all corrections, and again where a base was made meanwhile."""
        before = {*live.spec.deciding, *following.corrected_to}
        joining = [one for one in following.members if one.policy in {*following.spec.deciding} - before]
        committed = None
        while committed is None:
            following = following._replace(floor=live.floor)
            if following.floor and joining:
                await self._pools.creations.run(check_knows, self._store, live, joining, following.floor)
            committed = await set_state(live, change, following, live.now(), *self._set)
        await asyncio.shield(committed)

    async def _state(self, live: Live, member: Member) -> Any:
        """Return what a policy knows that begins to decide at the next event: all that is committed."""
        if member.begun == live.seq + 1:
            policy = policy_of(live.created, member)
            return policy.init(policy.params, live.problem)
        while True:
            live.check_open()
            watch = await self._watched(live)
            await self._read(live, watch, live.seq, near=0)
            if self._watches.get(live.row.key) is watch:  # else it was given up before it had read all
                return snapshot.copied(watch.shadows[member.policy].state)

    async def _caught_up(self, live: Live) -> None:
        """Let shadows read on without pauses, until hardly anything is left for the turn in which one gets its part."""
        for _ in range(ROUNDS):
            watch = await self._watched(live)
            last, _ = await self._pools.watches.run(self._store.last, live.row.key)
            if last - watch.seq <= NEAR:
                return
            await self._read(live, watch, last, near=0)

    async def _watched(self, live: Live) -> Watch:
        """Return what watches an experiment; after a start, and where a shadow began before what was read, anew."""
        async with self._making.setdefault(live.row.key, asyncio.Lock()):  # of two one would be in vain
            known, members = self._watches.get(live.row.key), live.members
            if known is None or known.lacks(members):
                await live.committed()  # what these begin with is read from the log
                about = live.row.key, live.created, live.kind, members
                found = await self._pools.watches.run(starts_of, self._store, *about)
                known = self._watches[live.row.key] = Watch(*about, *found)
            return known

    async def _read(self, live: Live, watch: Watch, last: int, near: int, pause: float = 0.0) -> None:
        """Read pages of the committed log until no more than so many events up to `last` are left."""
        while (last - watch.seq > near or watch.is_behind) and self._watches.get(live.row.key) is watch:
            began = time.monotonic()
            page = partial(watch.read, self._store, last)
            await asyncio.shield(asyncio.ensure_future(self._work(live, watch, page)))  # whoever asked may leave
            self._take_room(live, watch)
            await asyncio.sleep(pause * (time.monotonic() - began))

    async def _work(self, live: Live, watch: Watch, work: Callable[[], None]) -> None:
        """Read a page, or count; a watch that fails in the middle of it is given up, and made anew from the log."""
        async with watch.one:
            if self._watches.get(live.row.key) is not watch:  # it failed while this one waited
                return
            try:
                await self._pools.watches.run(work)
            except BaseException:
                if self._watches.get(live.row.key) is watch:
                    del self._watches[live.row.key]
                raise

    async def make_way(self, live: Live, arm: dict[str, Any]) -> None:
        """Retire the shadows that take no new arms where one will join, in a turn of the caller, who is alone."""
        fixed = shadows_without_growth(live)
        if not fixed or not live.would_change("join", arm):
            return
        for number in fixed:
            await self._change(live, retired(live.members, number, live.seq + 1), "arm_joined", number)
            says = "experiment %r: policy %d, %s, takes no new arms and is retired, as one joins"
            log.warning(says, live.row.id, number, live.named[number])

    async def _keep_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            there = {live.row.key: live for live in self._lives()}
            watched = {key: live for key, live in there.items() if is_watched(live) and live.is_at_work}
            for key in [key for key in self._watches if key not in watched]:
                del self._watches[key]
                self._room.take(self._rooms.pop(key, ""), 0)
            for key, live in watched.items():
                if self._later.get(key, 0.0) > time.monotonic():
                    continue
                try:
                    await self._look(live)
                except Exception as error:  # of the database, or of a policy file; others are still watched
                    self._later[key] = time.monotonic() + LATER
                    known = isinstance(error, OnearmError)
                    log.error("policies of %r are not watched now: %s", live.row.id, error, exc_info=not known)

    def _take_room(self, live: Live, watch: Watch) -> None:
        """Note what shadows take now."""
        name = self._rooms[live.row.key] = _room_of(live)
        self._room.take(name, watch.state_bytes)

    async def _look(self, live: Live) -> None:
        """Read a page, and do what guards say."""
        watch = await self._watched(live)
        closed, logged = None if live.windows is None else live.windows.counts_to(live.seq), live.seq
        if closed is not None:
            await live.committed()
        last, _ = await self._pools.watches.run(self._store.last, live.row.key)
        await self._read(live, watch, min(last, watch.seq + PAGE), near=0, pause=PAUSE)
        if closed is not None and watch.seq >= logged:
            await self._work(live, watch, partial(watch.count_closed, self._store, closed))
        self._take_room(live, watch)
        for member in live.members:
            evidence = watch.evidence.get(member.policy)
            if member.guard is None or evidence is None or evidence.since != member.since:
                continue
            if (move := evidence.moved(member.guard)) is not None:
                found = evidence.against(member.guard.against, 1.0 - member.guard.alpha)
                assert found is not None
                told = {"value": found.value, "low": found.low, "high": found.high, "decisions": evidence.decisions}
                if move == "promoted" and member.role == "shadow":
                    await self._caught_up(live)
                await live.turns.alone(self._guarded, live, member, move, told)

    async def _guarded(self, live: Live, member: Member, move: str, told: dict[str, Any]) -> None:
        """Do what a guard says in a turn of the caller, unless it was changed, or its policy, before that came."""
        if member not in live.members:
            return
        if move == "promoted":
            await self._assign(live, member.policy, Wanted("live"), move, **told)
        else:
            await self._retire(live, member.policy, move, **told)
        log.warning("experiment %r: its guard has %s policy %d: %s", live.row.id, move, member.policy, told)


def is_watched(live: Live) -> bool:
    """Tell whether there is a policy whose worth is to be told beside that of the live one."""
    return len(live.members) > 1 or live.is_apprentice


def shadows_without_growth(live: Live) -> list[int]:
    """Return the numbers of the policies that decide nothing, and take no arm that joins."""
    others = (member for member in live.members if member.policy not in live.spec.numbers)
    return [member.policy for member in others if policy_of(live.created, member).grow is None]


def check_several(live: Live) -> None:
    """Refuse several policies where no arms are chosen, and where decisions move a state."""
    if live.created.problem.states is not None:
        raise InvalidInput(
            "states_move",
            f"the decisions of {live.created.id!r} move a state: what another policy is worth cannot be told by "
            "them, as it would have met other states; create another experiment for it",
        )
    if not live.kind.has_members:
        raise InvalidInput(
            "not_built", f"{live.created.id!r} decides {live.kind.plural}: several policies are for problems of arms"
        )


def member_of(live: Live, number: int) -> Member:
    """Return a policy that plays a part; raises `NotFound`."""
    found = next((member for member in live.members if member.policy == number), None)
    if found is None:
        there = ", ".join(str(member.policy) for member in live.members)
        said = "is retired" if number in live.named else "is not there"
        raise NotFound("unknown_member", f"policy {number} of {live.created.id!r} {said}: there are {there}")
    return found


def _fitting(created: Spec, spec: Any) -> tuple[Policy, int]:
    """Return a policy for the problem of an experiment, and how many bytes its state takes."""
    named, constraints = catalog.from_spec(spec), created.constraints
    policy = fitted(named if constraints is None else constraints.around(named), created.problem)
    return policy, snapshot.size(policy.init(policy.params, created.problem))


def _known(live: Live, spec: dict[str, Any], wanted: Wanted, start: Beginning) -> Member | None:
    """Return the policy that plays this part already, None without one; refuse it with another share or guard.

    Whoever leads, and knew something else at its beginning, is another one.
    """
    same = [one for one in live.members if (one.spec, one.role) == (spec, wanted.role)]
    asked = start.origin if isinstance(start, Brought) else None
    if not same or (wanted.role in LEADING and not is_origin(same[0].origin, asked)):
        return None
    if (same[0].share, same[0].guard, same[0].learn_from) != (_share(wanted), wanted.guard or None, wanted.learn_from):
        raise Conflict(
            "policy_exists",
            f"policy {same[0].policy} is this {wanted.role} already, with another share, guard or learn_from: "
            f"change them by policies/{same[0].policy}:assign",
        )
    return same[0]


def _check_another(live: Live, policy: Policy, start: Beginning) -> None:
    """Refuse one more policy where there are as many as may be, or it cannot learn what is on record."""
    if policy.divides and (live.tally.unknown or not has_law(live.spec.policy.params)):
        raise InvalidInput(
            "missing_propensity",
            f"policy {policy.name!r} divides by propensities, and some decisions of {live.created.id!r} have none that "
            "is known: take another one",
        )
    if len(live.members) >= MEMBERS_MAX:
        raise Conflict("too_many_policies", f"{live.created.id!r} has {MEMBERS_MAX} policies: retire one")
    if start == "log" and live.base:
        raise Conflict(
            "compacted",
            f"the log of {live.created.id!r} begins at its base, event {live.base}, and what was before cannot be "
            'learned any more: begin with {"start": "empty"}',
        )


def _room_of(live: Live) -> str:
    """Return the name under which shadows take memory."""
    return f"{live.row.id}\n shadows"  # no id has a line break


def _share(wanted: Wanted) -> float:
    """Return the share of a part; one that has none is refused where it is given one."""
    has_share = wanted.role in ("canary", "control")
    if not has_share:
        if wanted.share is not None:
            raise InvalidInput(
                "unexpected_share", f"a {wanted.role} has no share of its own: only a canary and a control have"
            )
        return 0.0
    if wanted.share is None:
        raise InvalidInput(
            "missing_share", f"how many of the decisions the {wanted.role} makes is missing: share, as .05"
        )
    share = check_param("share", wanted.share, low=0.0, high=1.0, low_open=True, high_open=True)
    return float(share)


def _learn_from(wanted: Wanted) -> LearnFrom:
    """Return what a policy learns from in its part."""
    if wanted.learn_from != "reward" and wanted.role != "apprentice":
        raise InvalidInput(
            "unexpected_learn_from", f"a {wanted.role} learns from rewards: only an apprentice learns from agreement"
        )
    return wanted.learn_from


def former_share(wanted: Wanted) -> float:
    """Return the share of whoever had the part."""
    return 0.0 if wanted.former is None else _share(Wanted(wanted.former, wanted.former_share))


def _check_members(live: Live, members: tuple[Member, ...]) -> None:
    """Refuse shares that leave nothing for the live policy, and guards that nothing could ever tell anything."""
    for role in ("canary", "control"):
        if len(playing := [member.policy for member in members if member.role == role]) > 1:
            raise Conflict(
                "part_taken",
                f"policies {playing[0]} and {playing[1]} would both be the {role}: retire one of them first",
            )
    if leader(members).role == "apprentice" and len(shares_of(members)) > 1:
        raise Conflict("is_apprentice", "the policy is an apprentice, and whoever asks decides: promote it first")
    if min(shares_of(members).values()) <= 1e-9:
        raise InvalidInput(
            "bad_share", "the shares of canary and control leave nothing for the live policy: lower them"
        )
    for member in members:
        guard = member.guard
        if guard is None:
            continue
        if member.role in (*LEADING, "control"):
            raise InvalidInput("bad_guard", f"a guard moves whoever is tried, and not a {member.role}: leave it out")
        if live.created.problem.reward_range is None:
            raise InvalidInput("bad_guard", "a guard needs to know between what rewards lie: declare reward.range")
        if guard.against == "control" and in_part(members, "control") is None:
            raise InvalidInput("bad_guard", "the guard is against the control, and there is none: add one first")
        if not ALPHA_MIN <= guard.alpha <= 0.5:
            raise InvalidInput("bad_guard", f"alpha is {guard.alpha}: it must lie between {ALPHA_MIN:g} and .5, as .05")
        above, below = guard.promote_above, guard.demote_below
        if above is not None and below is not None and above < below:
            raise InvalidInput(
                "bad_guard",
                f"promote_above is {above:g} and demote_below {below:g}: the first must be as high at least",
            )
        if member.role == "shadow" and not policy_of(live.created, leader(members)).probability_min:
            raise InvalidInput(
                "bad_guard",
                "what a shadow is worth is sure only where every action has a lowest probability: let a policy be live "
                "that has a floor, or try it as a canary",
            )
