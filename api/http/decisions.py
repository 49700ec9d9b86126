"""The hot routes: decide and reward, one by one or in batches, and the record of a decision.

What differs between kinds of decisions they ask the experiment's kind (`kinds/kind.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from ...engine.errors import Conflict, InvalidInput
from ...engine.problem import check_reward
from ...engine.storage.records import Event
from ...engine.storage.states import slimmed
from ...engine.storage.windows import why_closed
from ...engine.vocabulary import EXTERNAL, Decision, Feedback
from ..experiment.ids import check_id
from ..experiment.intake import check_propensity
from ..kinds.kind import id_of
from ..service.at_once import learn_at_once
from ..service.entered import Sent
from ..service.live import Live
from ..service.records import Record
from ..service.refusals import being_erased
from ..service.service import Service
from .activations import activation_of, checked
from .batches import in_pieces
from .bodies import LARGE, numbers_of_context, read, read_list
from .call import Call
from .corrections import correction_of
from .endpoint import Answer
from .requests import find, found_unlocked, hash_of, held, iso, known_as, one_id, sent_of, settled
from .schemas import Decide, DecisionRecord, Decisions, Example, Examples, Learned, Rewarded, RewardRecord, Rewards
from .several import Shared, record_of_list, shared
from .windowed import Came, CameEarly, came, outcomes_of

BATCH_MAX = 10_000
REPLAYED = ((b"idempotency-replayed", b"true"),)

_decide = msgspec.json.Decoder(Decide)
_decisions = msgspec.json.Decoder(Decisions)
_rewards = msgspec.json.Decoder(Rewards)
_example = msgspec.json.Decoder(Example)
_examples = msgspec.json.Decoder(Examples)
_UNSAID = (None, False, msgspec.Raw())  # fields of a body that are left out


async def decide(service: Service, call: Call) -> Answer:
    """Decide on one instance."""
    live = service.live(call.path["experiment_id"])
    header = call.header(b"idempotency-key")
    if len(call.body) > LARGE:
        async with service.lanes.large.turn():
            made, again = await _decide_one(live, call.body, header)
    else:
        made, again = await _decide_one(live, call.body, header)
    if not again:
        assert made.decided is not None
        await made.decided
    return Answer(200 if again else 201, live.kind.answer(live, made.event), REPLAYED if again else ())


async def decide_batch(service: Service, call: Call) -> Answer:
    """Decide on many instances, in order."""
    live = service.live(call.path["experiment_id"])
    bodies = await _items(service, _decisions, "decisions", call)

    async def begin(raw: bytes) -> Record:
        made, _ = await _decide_one(live, bytes(raw), None)
        return made

    async def end(made: Record) -> Any:
        await settled(made)
        return live.kind.answer(live, made.event)

    return Answer(200, {"decisions": await in_pieces(service.lanes.batches, bodies, begin, end)})


async def reward(service: Service, call: Call) -> Answer:
    """Take the reward of one decision."""
    live = service.live(call.path["experiment_id"])
    reader, decision_id = live.kind.reader, call.path["decision_id"]
    if len(call.body) > LARGE:
        async with service.lanes.large.turn():
            taken = await _reward_one(live, decision_id, read(reader.one, call.body, reader.what))
    else:
        taken = await _reward_one(live, decision_id, read(reader.one, call.body, reader.what))
    answer = await taken.answer(live)
    return Answer(202 if answer.status == "early" else 200, answer)


async def reward_batch(service: Service, call: Call) -> Answer:
    """Take many rewards, in order."""
    live = service.live(call.path["experiment_id"])
    reader = live.kind.reader
    bodies = await _items(service, _rewards, "rewards", call)

    async def begin(raw: bytes) -> Taken | Came | CameEarly | Shared:
        body = read(reader.batch, bytes(raw), reader.what)
        return await _reward_one(live, body.decision_id, body)

    return Answer(
        200, {"rewards": await in_pieces(service.lanes.batches, bodies, begin, lambda taken: taken.answer(live))}
    )


async def record(service: Service, call: Call) -> Answer:
    """Tell everything on record about one decision."""
    live = service.live(call.path["experiment_id"])
    told, records = await live.turns.take(_told, live, call.path["decision_id"])
    for one in records:
        await settled(one)
    return Answer(200, told)


async def _told(live: Live, decision_id: str) -> tuple[DecisionRecord, Sequence[Record]]:
    """Return what is known of a decision, or of a list as a whole, and what is to be settled before that is told.

    The caller has the turn: in the middle of the turn of another it may not be on its way to the log.
    """
    found, several = await find(live, decision_id), live.kind.several
    if several is None or (numbers := several.numbers(found.event))[-1] != found.event.number:
        return record_of(live, found), [found]
    async with held(live, numbers) as parts:
        slots = [record_of(live, one) for one in parts]
    return record_of_list(slots[-1], slots), parts


async def learn_examples(service: Service, call: Call) -> Answer:
    """Learn from decisions that someone else made, in order."""
    live = service.live(call.path["experiment_id"])
    bodies = await _items(service, _examples, "examples", call)

    async def begin(raw: bytes) -> tuple[Record, Any]:
        return await _learn_example(live, bytes(raw))

    async def end(learned: tuple[Record, Any]) -> Learned:
        found, status = learned
        await settled(found)
        return Learned(id_of(found.event), status)

    return Answer(200, {"examples": await in_pieces(service.lanes.batches, bodies, begin, end)})


async def _items(service: Service, decoder: msgspec.json.Decoder[Any], field: str, call: Call) -> list[Any]:
    """Return the items of a batch, as they were sent."""
    if len(call.body) <= LARGE:
        return await read_list(decoder, field, call.body, "the batch", BATCH_MAX)
    async with service.lanes.large.turn():
        return await read_list(decoder, field, call.body, "the batch", BATCH_MAX)


async def _decide_one(live: Live, raw: bytes, header_id: str | None) -> tuple[Record, bool]:
    """Return the decision, queued for the log, and whether it was made before."""
    kind = live.kind
    if len(raw) > LARGE:
        _check_length(live, raw)
    body = read(_decide, raw or b"{}", "the decision")
    for name in kind.refused:
        if getattr(body, name) not in _UNSAID:
            raise InvalidInput("unexpected_field", kind.unread.format(name=name, id=live.spec.id))
    if body.unit_id is not None:
        check_id("unit_id", body.unit_id)
    if body.defer_activation and live.windows is None:
        raise InvalidInput(
            "unexpected_field",
            f"the decision has defer_activation, but {live.spec.id!r} waits for no rewards: leave it out, or create "
            "the experiment with a reward.wait_time",
        )
    _check_baseline(live, body)
    decision_id = one_id(body.decision_id, header_id)
    while True:
        if body.explain:
            await live.prepare_explanations()  # first: nothing may be awaited between finding nothing and deciding
        if body.rank:
            await live.prepare_rankings()
        if (made := await live.turns.take(_decide_now, live, body, decision_id, raw)) is not None:
            return made


def _check_baseline(live: Live, body: Decide) -> None:
    """Refuse what somebody's own rule says where no arms are chosen, and its absence where it is what is done."""
    if body.baseline_action is None and body.baseline_propensity is None and not live.is_apprentice:
        return
    if live.kind.external is None:
        raise InvalidInput("unexpected_field", live.kind.unread.format(name="baseline_action", id=live.spec.id))
    propensity = body.baseline_propensity
    if propensity is not None:
        check_propensity(propensity)
    if not live.is_apprentice:
        return
    if body.baseline_action is None:
        raise InvalidInput(
            "missing_baseline",
            f"the policy of {live.spec.id!r} is an apprentice, and what your own rule says is done: send that as "
            "baseline_action, or promote the policy",
        )
    if propensity is None and live.divides:
        raise InvalidInput(
            "missing_propensity",
            f"the policy {live.spec.policy.name!r} divides by propensities: send the one with which "
            f"{body.baseline_action!r} was chosen, as baseline_propensity",
        )
    if body.explain:
        raise InvalidInput(
            "no_explanation", "the decision is your own, and has no explanation of ours: leave explain out"
        )


def _check_length(live: Live, raw: bytes) -> None:
    """Refuse a long list as context where none, or one of another length, is read: to make it would take .1 s."""
    found, intake = numbers_of_context(raw), live.spec.intake
    if found is not None and "context" in live.kind.fields and found != intake.length and intake.encoder is None:
        raise InvalidInput("bad_context", f"the context has the shape [{found}]: it must have [{intake.length}]")


async def _decide_now(live: Live, body: Decide, decision_id: str | None, raw: bytes) -> tuple[Record, bool] | None:
    """Return the decision, queued for the log, and whether it was made before.

    None where it is to be explained, and another policy decides by now, whose explanations are not prepared.
    """
    if live.decide_waits:
        found = await found_unlocked(live, known_as, decision_id, raw)
    else:
        found = await known_as(live, decision_id, raw)
    if found is not None:
        return found, True
    if body.explain and live.explainer is None:
        return None
    if live.windows is not None and decision_id is not None and live.windows.early.is_hidden(decision_id):
        raise being_erased()  # what came before it may be its reward again
    sent = _sent(decision_id, body.unit_id, raw)._replace(deferred=body.defer_activation)
    if live.is_apprentice:
        made = _given(live, body, sent)
    else:
        made = await live.decide(live.kind.request(live, body), sent, live.now())
    await learn_at_once(live, made)  # what came before it
    return made, False


def _given(live: Live, body: Decide, sent: Sent) -> Record:
    """Return what an apprentice learns from: what somebody's own rule decided, queued for the log."""
    assert live.kind.external is not None and body.baseline_action is not None
    propensity = math.nan if body.baseline_propensity is None else body.baseline_propensity
    seen = (body.context, body.state, body.begins, body.actions, body.eligible_actions, body.excluded_actions)
    request, action = live.kind.external(live, Example(body.baseline_action, 0.0, propensity, *seen))
    return live.log_external(request, Decision(action, propensity), sent, live.now())


class Taken(NamedTuple):
    """A reward that was sent, and is learned at once."""

    decision_id: str
    record: Record
    reward_id: str
    before: Feedback | None  # what was sent, where the decision had a reward already

    async def answer(self, live: Live) -> Rewarded:
        """Return the answer to it, once it is committed; a reward that the decision had before stays."""
        kind, found, sent = live.kind, self.record, self.before
        if sent is None:
            assert found.rewarded is not None
            await found.rewarded
            return Rewarded("accepted")
        before = found.reward
        assert before is not None
        await settled(found)
        if (before.reward, before.detail, before.reward_id) == (sent.reward, kind.detail_json(sent), self.reward_id):
            return Rewarded("duplicate")
        raise Conflict("reward_exists", kind.reward_exists(self.decision_id, before))


async def _reward_one(live: Live, decision_id: str, body: Any) -> Taken | Came | CameEarly | Shared:
    """Return a reward, queued for the log."""
    kind, reward_id = live.kind, body.reward_id or ""
    if body.reward_id is not None:
        check_id("reward_id", body.reward_id)
    said = kind.read_feedback(live, body)
    if kind.several is not None:
        return await live.turns.take(shared, live, kind.several, decision_id, said, reward_id)
    if live.windows is not None:
        shown = checked("the reward", body.action_id, body.propensity)
        return await live.turns.take(came, live, decision_id, said, reward_id, shown)
    found, feedback = await live.turns.take(_reward_now, live, decision_id, said, reward_id)
    return Taken(decision_id, found, reward_id, feedback)


async def _reward_now(live: Live, decision_id: str, said: Any, reward_id: str) -> tuple[Record, Feedback | None]:
    """Return the decision with its reward, queued for the log; with what was sent, where it had one before."""
    kind = live.kind
    found = await found_unlocked(live, find, decision_id)
    action = kind.action(live, found.event)
    feedback = kind.feedback_on(live, found.event, action, said)
    if found.reward is not None:
        return found, feedback
    await live.learn(found, action, feedback, reward_id, live.now())
    return found, None


async def _learn_example(live: Live, raw: bytes) -> tuple[Record, Any]:
    body = read(_example, raw, "the example")
    if live.kind.external is None:
        raise InvalidInput("no_examples", live.kind.no_examples.format(id=live.spec.id))
    for name in ("unit_id", "reward_id"):
        if getattr(body, name) is not None:
            check_id(name, getattr(body, name))
    propensity = _propensity_of(live, body)
    beside = live.spec.intake.beside(live.problem, body.cost, body.next_state, body.ended)
    reward = Feedback(check_reward(body.value, live.limits), beside)
    return await live.turns.take(_learn_now, live, body, raw, reward, propensity)


def _propensity_of(live: Live, body: Example) -> float:
    """Return the propensity of an example, NaN where it is not known and no policy divides by it."""
    if body.propensity is not None:
        return check_propensity(body.propensity)
    if live.divides:
        raise InvalidInput(
            "missing_propensity",
            f"the policy {live.spec.policy.name!r} divides by propensities: send the one with which "
            f"{body.action_id!r} was chosen, in (0, 1]",
        )
    return math.nan


async def _learn_now(live: Live, body: Example, raw: bytes, reward: Feedback, propensity: float) -> tuple[Record, Any]:
    """Return the decision of an example with its reward, queued for the log, and whether it was there before."""
    kind = live.kind
    assert kind.external is not None
    found = await found_unlocked(live, known_as, body.decision_id, raw)
    if found is None:
        request, action = kind.external(live, body)
        sent = _sent(body.decision_id, body.unit_id, raw)
        found = live.log_external(request, Decision(action, propensity), sent, live.now())
    if found.reward is not None:
        return found, "duplicate"
    await live.learn(found, kind.action(live, found.event), reward, body.reward_id or "", live.now())
    return found, "accepted"


def _sent(decision_id: str | None, unit_id: str | None, raw: bytes) -> Sent:
    return Sent(decision_id, sent_of(raw), None if decision_id is None else hash_of(raw), unit_id)


def record_of(live: Live, found: Record) -> DecisionRecord:
    """Return all that is on record of a decision and its reward."""
    slim, named = live.is_slim(found), live.problem.layout == "named"
    event = slimmed(found.event) if slim else found.event
    assert event.number is not None, "this is a decision"
    fields: dict[str, Any] = {
        "decision_id": id_of(event),
        "number": event.number,
        "seq": event.seq,
        "action_id": None,
        "propensity": event.propensity,
        "policy": live.policy_name(event),
        "policy_number": UNSET if event.policy is None else event.policy,
        "model_version": event.seq - 1,
        "unit_id": UNSET if event.unit_id is None else event.unit_id,
        "given": event.kind == EXTERNAL,
        "compacted": slim or UNSET,
        "context": None if event.context is None or named else live.context(event).tolist(),
        "actions": None if event.actions is None else list(live.labels(event)),
        "eligible_actions": None,
        "sent": None if event.sent is None else msgspec.Raw(event.sent.encode()),
        "time": iso(event.time),
        "reward": None if found.reward is None else _reward_record(live, found.reward),
        "corrections": [correction_of(one) for one in found.corrections] or UNSET,
        "outcomes": UNSET if live.windows is None else outcomes_of(live, found),
        "activation": activation_of(found) or UNSET,
    }
    return DecisionRecord(**fields | live.kind.record(live, event))


def _reward_record(live: Live, reward: Event) -> RewardRecord:
    fields = live.kind.reward_record(live, reward)
    if live.windows is not None and (closed := why_closed(reward)) is not None:
        fields["closed"] = closed
    return RewardRecord(reward_id=reward.reward_id or None, seq=reward.seq, time=iso(reward.time), **fields)
