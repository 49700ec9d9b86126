"""Rewards of arms on their way to the service, also of what was shown while it was away."""

from __future__ import annotations

from typing import Any

import msgspec

from ....engine.errors import Conflict, InvalidInput, NotFound
from ...http.schemas import DecisionRecord, Learned, Rewarded
from ..bodies import encode, read_item
from ..decided import Shown
from .connection import AsyncConnection, decision_path


class LearnedRaw(msgspec.Struct):
    """The answers to examples, as they came."""

    examples: list[msgspec.Raw]


async def tell(connection: AsyncConnection, path: str, decision_id: str, reward: bytes) -> None:
    """Tell the reward of a decision that the service made."""
    await connection.ask("POST", f"{decision_path(path, decision_id)}/reward", Rewarded, reward)


async def tell_shown(
    connection: AsyncConnection, path: str, decision_id: str, shown: Shown, reward: dict[str, Any]
) -> None:
    """Tell what was shown while the service was away, and its reward.

    Where the service does not know the decision, it is an example, which somebody else decided. Where it made the
    decision and its answer was lost, the reward says which action was shown in its place; an experiment without a
    window takes no such reward, and has what was shown as an example with an id of its own. Told again it is a
    duplicate. Of lists there are no examples: what was shown must be what the service made.
    """
    if shown.filled is not None:
        await _tell_list(connection, path, decision_id, shown.filled, reward)
        return
    try:
        record = await _record(connection, path, decision_id)
    except NotFound as error:
        if error.code != "unknown_decision":
            raise
        try:
            await _tell_example(connection, path, decision_id, shown, reward)
            return
        except Conflict as conflict:  # the service made the decision a moment ago
            if conflict.code != "decision_exists":
                raise
            record = await _record(connection, path, decision_id)
    if record.given:  # it is the example of an earlier try
        _check_same(decision_id, record, reward)
        await _tell_example(connection, path, decision_id, shown, reward)
    elif record.action_id == shown.action_id:
        await tell(connection, path, decision_id, encode(reward))
    else:
        await _tell_other(connection, path, decision_id, shown, reward)


async def _tell_list(
    connection: AsyncConnection, path: str, decision_id: str, filled: dict[str, str], reward: dict[str, Any]
) -> None:
    """Tell the rewards of a list that was shown while the service was away, where the service made the same one."""
    try:
        slots = (await _record(connection, path, decision_id)).slots or []
        made = {str(slot.slot_id): str(slot.action_id) for slot in slots}
    except NotFound as error:
        if error.code != "unknown_decision":
            raise
        made = {}
    if made != filled:
        seen = f"the service filled it with {', '.join(made.values())}" if made else "the service never heard of it"
        raise InvalidInput(
            "no_examples",
            f"the list {decision_id!r} that was shown has {', '.join(filled.values())}, and {seen}: nothing can be "
            "learned of a list that somebody else filled; tell no rewards of it",
        )
    await tell(connection, path, decision_id, encode(reward))


async def _record(connection: AsyncConnection, path: str, decision_id: str) -> DecisionRecord:
    return await connection.ask("GET", decision_path(path, decision_id), DecisionRecord)


async def _tell_other(
    connection: AsyncConnection, path: str, decision_id: str, shown: Shown, reward: dict[str, Any]
) -> None:
    """Tell that another action was shown than was decided, and its reward."""
    said = {"action_id": shown.action_id} | ({} if shown.propensity is None else {"propensity": shown.propensity})
    try:
        await tell(connection, path, decision_id, encode(reward | said))
    except InvalidInput as error:
        if error.code != "unexpected_field":
            raise
        await _tell_example(connection, path, f"{decision_id[:249]}.shown", shown, reward)


def _check_same(decision_id: str, record: DecisionRecord, reward: dict[str, Any]) -> None:
    """Refuse a second reward of an example: it was learned with the first one."""
    first = record.reward
    if first is not None and first.reward_id != reward.get("reward_id"):
        raise Conflict(
            "reward_exists",
            f"the decision {decision_id!r} was shown while the service was away, and has the reward {first.value} "
            f"(reward_id {first.reward_id!r}) already: such a decision takes one; put several together before you tell",
        )


async def _tell_example(
    connection: AsyncConnection, path: str, decision_id: str, shown: Shown, reward: dict[str, Any]
) -> None:
    """Tell it as a decision that somebody else made."""
    asked: dict[str, Any] = msgspec.json.decode(shown.asked)
    kept = ("context", "state", "begins", "actions", "eligible_actions", "excluded_actions", "unit_id")
    example = {name: asked[name] for name in kept if name in asked} | reward
    example |= {"decision_id": decision_id, "action_id": shown.action_id, "propensity": shown.propensity}
    answer = await connection.ask("POST", f"{path}/examples:batch", LearnedRaw, {"examples": [example]})
    read_item(Learned, answer.examples[0])
