"""The policies of one experiment: who decides, who is tried, who only learns; and what each is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ...engine.errors import NotFound
from ...engine.storage.numerals import natural_in
from ..experiment.lineup import LEADING, Member, shares_of
from ..experiment.lineup_schemas import Origin, Role
from ..service.estimates import Estimate
from ..service.live import Live
from ..service.policies import Brought, Wanted, check_several, is_watched
from ..service.service import Service
from ..service.watching import Watch
from .bodies import read
from .call import Call
from .endpoint import Answer
from .lineup_schemas import Difference, Displaced, JoiningPolicy, Lineup, Part, PolicyStatus, Promotion, RetiredPolicy

_new = msgspec.json.Decoder(JoiningPolicy)
_part = msgspec.json.Decoder(Part)
_promotion = msgspec.json.Decoder(Promotion)


async def add_policy(service: Service, call: Call) -> Answer:
    """Add a policy to an experiment: as a shadow that learns, a canary or a control that decide on a share, or live."""
    live = service.live(call.path["experiment_id"])
    body = read(_new, call.body, "the policy")
    wanted = Wanted(body.role, body.share, body.learn_from, body.guard)
    there = body.start
    start = Brought(there, service.live(call.caller.named(there.experiment))) if isinstance(there, Origin) else there
    before = live.members
    member, new = await service.policies.add(live, body.policy, wanted, start)
    status = _status(service, live, member, call)
    status.displaced = _displaced(before, member, live)
    return Answer(201 if new else 200, status)


async def list_lineup(service: Service, call: Call) -> Answer:
    """List the policies of an experiment, and what each is worth."""
    live = service.live(call.path["experiment_id"])
    check_several(live)
    watch = service.policies.watch(live)
    unread = 0 if is_watched(live) else live.seq  # there is nothing to be read of one alone
    read_to = unread if watch is None else watch.seq
    found = [_status(service, live, member, call) for member in live.members]
    there = {member.policy for member in live.members}
    gone = sorted(number for number in live.named if number not in there)
    called = call.caller.called(live.row.id)
    made = Lineup(called, found, gone, live.seq, read_to, live.seq - read_to)
    if live.windows is not None:
        made.until, made.open = live.windows.closed_to(live.seq), live.windows.n_open(live.number)
    return Answer(200, made)


async def assign_policy(service: Service, call: Call) -> Answer:
    """Give a policy another part, or another share of the decisions."""
    live = service.live(call.path["experiment_id"])
    body = read(_part, call.body, "the part")
    wanted = Wanted(body.role, body.share, body.learn_from, body.guard)
    return await _assigned(service, live, wanted, call)


async def promote_policy(service: Service, call: Call) -> Answer:
    """Let a policy be live from now on; whoever was live goes on as a shadow, so that one call brings it back."""
    live = service.live(call.path["experiment_id"])
    body = read(_promotion, call.body or b"{}", "the promotion")
    former: Role | None = None if body.former == "retired" else body.former
    wanted = Wanted("live", former=former, former_share=body.share)
    return await _assigned(service, live, wanted, call)


async def retire_policy(service: Service, call: Call) -> Answer:
    """Let a policy play no part any more; what it decided stays on record, and its number its own."""
    live = service.live(call.path["experiment_id"])
    number = _number(live, call)
    await service.policies.retire(live, number)
    return Answer(200, RetiredPolicy(call.caller.called(live.row.id), number, live.named[number]))


async def _assigned(service: Service, live: Live, wanted: Wanted, call: Call) -> Answer:
    before = live.members
    member = await service.policies.assign(live, _number(live, call), wanted)
    status = _status(service, live, member, call)
    status.displaced = _displaced(before, member, live)
    return Answer(200, status)


def _displaced(before: Sequence[Member], member: Member, live: Live) -> Displaced | UnsetType:
    """Return who had the part of a member, where somebody else had it."""
    parts = LEADING if member.role in LEADING else (member.role,)
    had = (one.policy for one in before if one.role in parts and one.role != "shadow" and one.policy != member.policy)
    if (number := next(had, None)) is None:
        return UNSET
    there = next((one for one in live.members if one.policy == number), None)
    return Displaced(number, "retired" if there is None else there.role)


def _number(live: Live, call: Call) -> int:
    """Return the number of a policy in a path."""
    said = call.path["policy"]
    number = natural_in(said)
    if number is None or len(said) >= 10:
        raise NotFound("unknown_member", f"there is no policy {said[:40]!r}: policies of an experiment have numbers")
    return number


def _status(service: Service, live: Live, member: Member, call: Call) -> PolicyStatus:
    watch = service.policies.watch(live)
    earned = None if watch is None else watch.earned.get(member.policy)
    evidence = None if watch is None else _evidence(watch, member)
    share = shares_of(live.members).get(member.policy, 0.0)
    status = PolicyStatus(
        experiment_id=call.caller.called(live.row.id),
        policy=member.policy,
        name=live.named[member.policy],
        spec=member.spec,
        role=member.role,
        share=share,
        since=member.since,
        decisions=0,
        units=0,
        value=Estimate(None, None, None),
        differences=[],
        guard=UNSET if member.guard is None else member.guard,
        origin=UNSET if member.origin is None else member.origin,
        learn_from=member.learn_from if member.role == "apprentice" else UNSET,
    )
    if watch is not None and member.role == "shadow" and member.policy in watch.lost:
        status.learned_since = watch.lost[member.policy]
    if earned is not None:
        status.decisions, status.units, status.value = earned.decisions, earned.units, earned.value
        if member.role == "apprentice":
            status.agreement, status.effective_decisions = earned.agreement, earned.effective
    if evidence is not None:
        modelled = evidence.modelled
        status.doubly_robust = UNSET if modelled is None else modelled.value
        for whom in ("live", "control"):
            if member.role != whom and (found := evidence.against(whom)) is not None:
                robust = None if modelled is None else modelled.against(whom)
                told = UNSET if robust is None else robust
                status.differences.append(Difference(whom, found.value, found.low, found.high, told))
    return status


def _evidence(watch: Watch, member: Member) -> Any:
    found = watch.evidence.get(member.policy)
    return found if found is not None and found.since == member.since else None
