"""Arms over HTTP: the request, the answer, the record and the reward of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from ....engine.actions import unpack_details
from ....engine.changes.worlds import leader_of
from ....engine.errors import InvalidInput, as_seen
from ....engine.problem import check_reward
from ....engine.states.learned import learned_by
from ....engine.storage.records import Event
from ....engine.vocabulary import EXTERNAL, Action, Array, Decision, Feedback
from ...experiment.explanation import explain, notes_on, rank
from ...experiment.explanation_schemas import Explanation
from ...experiment.intake import check_labels, mask_of
from ...experiment.plan import held_for
from ...http.bodies import read
from ...http.schemas import Decide, Example
from ..kind import NO_DETAIL, Encoded, Reader, Request, Work, id_of
from ..sample import Sample
from .bodies import ArmDecision, ArmReward, Baseline, BatchArmReward, RowAction


class _Id(msgspec.Struct):
    """An action of which nothing but the id is read."""

    id: Any = None


READER = Reader(msgspec.json.Decoder(ArmReward), msgspec.json.Decoder(BatchArmReward), "the reward")
_row_actions = msgspec.json.Decoder(list[RowAction])
_named_actions = msgspec.json.Decoder(list[dict[str, Any]])
_ids = msgspec.json.Decoder(list[_Id])
_baseline = msgspec.json.Decoder(Baseline)
EXPLANATION = msgspec.json.Decoder(Explanation)


class Offered(NamedTuple):
    """What can be chosen in a call: the arms, or the actions that it lists."""

    actions: Sequence[dict[str, Any]]  # each with its id
    labels: Sequence[str] | None  # their ids, where they came with the call
    numbers: dict[str, int]
    active: Array  # bool[k]


def offered(work: Work, sent: bytes) -> Offered:
    """Return what can be chosen, from the list of actions as it was sent."""
    intake, roster = work.spec.intake, work.roster
    if not intake.per_call and sent:
        raise InvalidInput(
            "unexpected_actions", "the decision has actions, but the experiment has arms: use eligible_actions"
        )
    if intake.per_call and not sent:
        raise InvalidInput("missing_actions", "the decision has no actions: list them, each with its id and features")
    if not intake.per_call:
        return Offered(roster.arms, None, roster.numbers, roster.active)
    return of_call(_actions(work, sent), intake.actions_max)


def of_call(actions: Sequence[dict[str, Any]], most: int) -> Offered:
    """Return what a call lists, at most so many actions, once their ids are checked."""
    try:
        ids = [action.get("id") for action in actions]
    except (AttributeError, TypeError):
        raise InvalidInput(
            "bad_actions",
            f'actions is {as_seen(actions)}: it must be a list of objects with an id and features, as {{"id": "a"}}',
        ) from None
    return _offered(actions, ids, most)


def _offered(actions: Sequence[dict[str, Any]], ids: Sequence[Any], most: int) -> Offered:
    labels = check_labels(ids, most)
    return Offered(actions, labels, {label: a for a, label in enumerate(labels)}, np.ones(len(labels), np.bool_))


def request(work: Work, body: Decide | Example) -> Request:
    """Return what a body asks for, as the kernels read it."""
    intake, sent = work.spec.intake, bytes(body.actions)
    explains = isinstance(body, Decide) and body.explain
    seen = None if explains or not sent else intake.read_sent(body.context, sent)
    if seen is None:
        actions, labels, numbers, available = offered(work, sent)
    else:
        actions, labels, numbers, available = _offered((), [each.id for each in _ids.decode(sent)], intake.actions_max)
    if body.eligible_actions is not None or body.excluded_actions is not None:
        available = mask_of(numbers, available, body.eligible_actions, body.excluded_actions)
    shown = intake.shown(body.context, body.state, body.begins)
    context = intake.read(shown, actions) if seen is None else seen  # it says why what does not fit
    names = intake.names(body.context, actions) if explains else None
    return Request(context, available, labels, names, ranked=isinstance(body, Decide) and body.rank)


def sample(work: Work, value: float) -> Sample:
    """Return bodies that it takes."""
    return Sample(work.spec.intake.sample(), {"value": value} | work.spec.intake.sample_beside())


def explained(work: Work, request: Request) -> Request:
    """Return the request with what is said of the decision: why, where that is asked for, and that it is a repeat."""
    policy, state = work.spec.policy, work.state
    if request.names is None and policy.repeats is None and not request.ranked:
        return request
    instance = work.asked(request)
    said, labels = Explanation(), request.labels or work.roster.labels
    if request.names is None and request.ranked:
        said.ranking = rank(work.tell_law, policy.params, state, instance, labels)
    if request.names is not None:
        assert work.explainer is not None, "explanations are compiled before"
        said = explain(work.explainer, policy.params, state, instance, labels, request.names)
        said.model = leader_of(policy, state)
        if (learned := learned_by(policy, state)) is not None:
            said.plan = held_for(learned, instance)
    said.sticky = policy.repeats is not None and policy.repeats(policy.params, state, instance)
    if not (said.ranking or said.sticky):
        return request
    return request._replace(reasons=msgspec.json.encode(said).decode())


def check(work: Work, decision: Decision, available: Array) -> None:
    """Refuse what only a bug in a policy can choose."""
    action = decision.action
    assert 0 <= action < len(available) and available[action], "a policy chose an arm that is not available"


def encode(work: Work, request: Request, decision: Decision) -> Encoded:
    """Return the arm, and the reasons of the state that chose it where they are asked for."""
    return Encoded(int(decision.action), None, _with_constraints(work, request.reasons))  # or one of NumPy's scalars


def _with_constraints(work: Work, reasons: str | None) -> str | None:
    """Return what is said of the decision that was made last, with what constraints did to it."""
    policy = work.spec.policy
    if policy.constrained is None:
        return reasons
    told = policy.constrained(policy.params, work.state, work.number, work.roster.labels)
    if told is None or not (told.applied or told.relaxed):
        return reasons
    said = Explanation() if reasons is None else EXPLANATION.decode(reasons)
    said.constraints_applied, said.relaxed = told.applied, told.relaxed
    return msgspec.json.encode(said).decode()


def action(work: Work, event: Event) -> Action:
    """Return the arm of a decision."""
    return event.action


def answer(work: Work, event: Event) -> ArmDecision:
    """Return what a client gets."""
    decided = ArmDecision(
        decision_id=id_of(event),
        action_id=work.labels(event)[event.action],  # type: ignore[index]
        propensity=event.propensity,
        policy=work.policy_name(event),
        model_version=event.seq - 1,
        policy_number=UNSET if event.policy is None else event.policy,
    )
    if event.kind == EXTERNAL:
        decided.given = True
    elif event.sent is not None and "baseline_action" in event.sent:
        named = _baseline.decode(event.sent).baseline_action
        decided.agrees = UNSET if named is None else named == decided.action_id
    said = Explanation() if event.detail is None else EXPLANATION.decode(event.detail)
    if work.spec.constraints is not None and event.kind != EXTERNAL and not said.sticky:
        decided.constraints_applied = []
    if event.detail is not None:
        decided.sticky = said.sticky or UNSET
        decided.constraints_applied = said.constraints_applied or decided.constraints_applied
        decided.relaxed = said.relaxed or UNSET
        if said.ranking:
            decided.ranking = said.ranking
        if said.explanation:
            decided.explanation = said.explanation
            decided.model = UNSET if said.model is None else said.model
            decided.plan = UNSET if said.plan is None else said.plan
            decided.notes = notes_on(work.spec) or UNSET
    return decided


def record(work: Work, event: Event) -> dict[str, Any]:
    """Return what is on record of a decision."""
    decided = answer(work, event)
    return {
        "action_id": decided.action_id,
        **_state_of(work, event),
        "sticky": decided.sticky,
        "constraints_applied": decided.constraints_applied,
        "relaxed": decided.relaxed,
        "eligible_actions": work.eligible(event),
        "ranking": decided.ranking,
        "explanation": decided.explanation,
        "model": decided.model,
        "plan": decided.plan,
        "notes": decided.notes,
    }


def _state_of(work: Work, event: Event) -> dict[str, Any]:
    """Return the state in which a decision was made, where there are any."""
    return {} if event.context is None else work.spec.intake.told_shown(work.context(event))


def read_feedback(work: Work, body: ArmReward | BatchArmReward) -> Feedback:
    """Return the reward of a body."""
    value = check_reward(body.value, work.limits)
    if body.pulls is not None:
        raise InvalidInput(
            "unexpected_pulls",
            f"the reward has pulls, but the decisions of {work.spec.id!r} are single ones: leave them out",
        )
    if work.spec.window is None and (body.action_id is not None or body.propensity is not None):
        raise InvalidInput(
            "unexpected_field",
            f"the reward says what was shown, but {work.spec.id!r} waits for no rewards: leave action_id and "
            "propensity out, or create the experiment with a reward.wait_time",
        )
    if not work.problem.detail_length and body.cost is None and body.next_state is None and not body.ended:
        return Feedback(value, NO_DETAIL)  # nearly all
    return Feedback(value, work.spec.intake.beside(work.problem, body.cost, body.next_state, body.ended))


def feedback_on(work: Work, decided: Event, action: Action, body: Feedback) -> Feedback:
    """Return the reward as it is."""
    return body


def reward_record(work: Work, reward: Event) -> dict[str, Any]:
    """Return what is on record of a reward."""
    detail = unpack_details([reward.detail], work.problem)[0]
    if np.isnan(detail).all():
        return {"value": reward.reward}
    return {"value": reward.reward, **work.spec.intake.told_beside(detail.tolist())}


def reward_exists(decision_id: str, before: Event) -> str:
    """Say that there is a reward."""
    beside = f", with {before.detail}" if (before.detail or "").startswith("[") else ""  # a cost, or the next state
    return (
        f"the decision {decision_id!r} has the reward {before.reward} already (seq {before.seq}{beside}): a decision "
        "takes one reward"
    )


def external(work: Work, body: Example) -> tuple[Request, Action]:
    """Return what someone else decided on, and the position of the action, which was available."""
    wanted, action_id = request(work, body), body.action_id
    labels = work.roster.labels if wanted.labels is None else wanted.labels
    if action_id not in labels:
        raise InvalidInput(
            "unknown_action", f"there is no action {action_id[:80]!r}: the actions are {', '.join(labels[:20])}"
        )
    arm = labels.index(action_id)
    if not wanted.available[arm]:
        raise InvalidInput("unavailable_action", f"the action {action_id!r} is not eligible, or retired: leave it out")
    return wanted, arm


def _actions(work: Work, raw: bytes) -> list[dict[str, Any]]:
    """Return the actions that a call lists as objects; their ids are not checked yet."""
    actions: list[dict[str, Any]]
    if work.spec.intake.encoder is None:
        rows = read(_row_actions, raw, "the list of actions")
        actions = [{"id": row.id} if row.features is None else {"id": row.id, "features": row.features} for row in rows]
    else:
        actions = read(_named_actions, raw, "the list of actions")
    return actions
