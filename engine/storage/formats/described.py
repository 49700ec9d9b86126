"""What an event tells of its context and its actions, as JSON objects of named features.

That is how Vowpal Wabbit's formats want it. Where somebody sent names, to a service or in a log of one of these
formats, they are used; where nothing but numbers is known, these are features named by their positions.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ...contexts import context_at, row_slice, unpack_contexts
from ...errors import InvalidInput
from ...vocabulary import DECIDE, EXTERNAL, Features, Problem
from ..records import Event
from . import vw_text

Described = tuple[dict[str, Any], list[dict[str, Any]], list[str]]


class _Original(msgspec.Struct):
    form: str = msgspec.field(name="from")
    line: msgspec.Raw


def original(event: Event, form: str) -> bytes | None:
    """Return the line of a log of this format that an event was read from, as JSON; None where it was not."""
    try:
        sent = msgspec.json.decode(event.sent or "", type=_Original)
    except msgspec.DecodeError:
        return None
    return bytes(sent.line) if sent.form == form else None


def check_problem(problem: Problem, form: str) -> None:
    """Raise `InvalidInput` where decisions are no arms by themselves: the formats of Vowpal Wabbit have none others."""
    if problem.action_kind != "arm":
        raise InvalidInput(
            "cannot_hold",
            f"{form} holds decisions for one of several actions: this log decides a {problem.action_kind}; write jsonl "
            "or parquet",
        )
    if problem.list_slots is not None:
        raise InvalidInput(
            "cannot_hold",
            f"{form} would lose which decisions are slots of one list: this log fills lists; write jsonl or parquet",
        )


def check_decision(event: Event, form: str) -> None:
    """Raise `InvalidInput` where the propensity of a decision is unknown: a label has one."""
    if event.kind in (DECIDE, EXTERNAL) and (event.propensity is None or math.isnan(event.propensity)):
        raise InvalidInput(
            "no_propensity",
            f"decision {event.number} has no propensity: the label of {form} has one; write jsonl or parquet",
        )


def described(event: Event, problem: Problem) -> Described:
    """Return the shared features, those of each action, and the ids of the actions."""
    sent = _sent(event)
    if sent.get("from") == "dsjson":
        shared = dict(sent["line"]["c"])
        actions = shared.pop("_multi")
    elif sent.get("from") == "vw":
        shared, actions = _of_text(sent["line"], problem)
    elif isinstance(sent.get("context"), dict) and isinstance(sent.get("actions"), list):
        shared, actions = sent["context"], sent["actions"]
    else:
        shared, actions = _numbered(event, problem)
    ids = [str(a) for a in range(len(actions))] if event.actions is None else msgspec.json.decode(event.actions)
    return shared, actions, ids


def _sent(event: Event) -> dict[str, Any]:
    if event.sent is None:
        return {}
    sent = msgspec.json.decode(event.sent)
    return sent if isinstance(sent, dict) else {}


def _of_text(text: str, problem: Problem) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the features of an event in Vowpal Wabbit's text."""
    lines = [vw_text.parse(line, float) for line in text.split("\n")]  # as earlier versions did, which took 1_0 for 10
    features = [vw_text.as_json(line.features) for line in lines]
    if problem.layout != "named":
        return features[0], _arms(problem)
    return (features[0], features[1:]) if lines[0].words[:1] == ["shared"] else ({}, features)


def _numbered(event: Event, problem: Problem) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return numbers as features of the namespace x."""
    if event.context is None:
        return {}, _arms(problem)
    context = context_at(unpack_contexts([event.context], problem), 0)
    if not isinstance(context, Features):
        if context.ndim == 1:
            return {"x": context.tolist()}, _arms(problem)
        return {}, [{"id": str(a), "x": row.tolist()} for a, row in enumerate(context)]
    rows = [row_slice(context, row) for row in range(len(context.start) - 1)]
    shared, *actions = (
        {"x": dict(zip(map(str, context.index[row].tolist()), context.value[row].tolist(), strict=True))}
        for row in rows
    )
    return shared, [{"id": str(a)} | action for a, action in enumerate(actions)]


def _arms(problem: Problem) -> list[dict[str, Any]]:
    return [{"id": str(a)} for a in range(problem.n_choices)]
