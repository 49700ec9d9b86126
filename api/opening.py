"""What opens an engine or creates an experiment: the arguments of `onearm.open`, as the body of a creation.

>>> creation_body("banner", ["a", "b"], context=2)["problem"]
{'context': {'kind': 'dense', 'length': 2}}
>>> creation_body("banner", 3)["arms"]
[{'id': '0'}, {'id': '1'}, {'id': '2'}]
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, TypeGuard

from ..engine.errors import InvalidInput, as_seen


def creation_body(
    experiment_id: str,
    arms: Any = None,
    *,
    context: Any = 0,
    actions: Any = None,
    domain: Any = None,
    feedback: str | None = None,
    task: Any = None,
    states: Any = None,
    slots: Any = None,
    stream: Any = None,
    seed: int = 0,
    horizon: int | None = None,
    reward_range: tuple[float, float] | None = None,
    reward: dict[str, Any] | None = None,
    constraints: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a body without a policy. Where there are no arms, actions, domain, task or stream it has two arms.

    `reward` is what docs/http.md says of windows: {"wait_time": "30m", "default": 0}.

    Raises `InvalidInput` where arguments contradict one another, or are nothing that JSON could say.
    """
    problem = _shown(context, actions, states)
    if horizon is not None:
        problem["horizon"] = horizon
    body: dict[str, Any] = {"experiment_id": experiment_id, "seed": str(seed), "problem": problem}
    about_reward = _about_reward(reward_range, reward)
    body |= {"reward": about_reward} if about_reward else {}
    body |= {} if constraints is None else {"constraints": constraints}
    given = {
        "arms": arms,
        "context": None if _is_none(context) else context,
        "actions": actions,
        "domain": domain,
        "feedback": feedback,
    }
    if task is not None:
        _check_alone("task", "queries are asked", **given, states=states, slots=slots, stream=stream)
        problem |= {"kind": "queries", **(task if isinstance(task, dict) else task.fields())}
    elif stream is not None:
        _check_alone("stream", "arms come once", **given, states=states, slots=slots)
        problem |= {"kind": "arm_stream", **(stream if isinstance(stream, dict) else {"arms": stream})}
        if reward is None:  # else the experiment says that a stream has none
            problem |= body.pop("reward", {}) and {"reward_range": reward_range}
    elif domain is None:
        if slots is not None:
            problem |= {"kind": "lists", "slots": slots if isinstance(slots, dict) else {"max": slots}}
        problem |= {} if feedback is None else {"feedback": feedback}
        body["arms"] = _arms(2 if arms is None else arms) if actions is None else []
    else:
        _check_no_arms(arms=arms, states=states, slots=slots)
        problem |= {"kind": "vector", "domain": domain.to_json() if hasattr(domain, "to_json") else domain}
        problem |= {} if feedback is None else {"feedback": feedback}
    return body


def _about_reward(reward_range: Any, reward: Any) -> dict[str, Any]:
    """Return what is said of rewards, as a field of a creation body; refuse two ranges that differ."""
    if reward is not None and not isinstance(reward, dict):
        raise InvalidInput("bad_spec", f'reward is {as_seen(reward)}: it must be an object, {{"wait_time": "30m"}}')
    said = reward or {}
    ranges = [one for one in (reward_range, said.get("range")) if one is not None]
    first, *others = [list(one) if isinstance(one, Iterable) else one for one in ranges] or [None]
    if others and others[0] != first:
        raise InvalidInput(
            "bad_range",
            f"reward_range is {as_seen(reward_range)}, and reward has the range {as_seen(said['range'])}: it is one; "
            "leave one of them out",
        )
    return ({} if reward_range is None else {"range": reward_range}) | said


def is_count(given: Any) -> TypeGuard[int]:
    """Tell whether something is a whole number; NumPy's are."""
    return isinstance(given, Integral) and not isinstance(given, bool)


def _check_alone(what: str, rule: str, **others: Any) -> None:
    """Refuse what says something else of the problem than its task or its stream does."""
    for name, value in others.items():
        if value is not None:
            raise InvalidInput("bad_spec", f"a {what} is given, and {name}: {rule}; leave {name} out")


def _check_no_arms(**others: Any) -> None:
    """Refuse what says that arms are decided, where a domain says that vectors are."""
    for name, value in others.items():
        if value is not None:
            raise InvalidInput(
                "bad_arms", f"{name} are given, and a domain: a decision is either; leave one of them out"
            )


def _is_none(context: Any) -> bool:
    """Whether decisions have no context: no number."""
    return isinstance(context, Real) and context == 0


def _shown(context: Any, actions: Any, states: Any) -> dict[str, Any]:
    """Return what each decision shows, as a problem of a creation body says it."""
    shown: dict[str, Any] = {}
    if not _is_none(context):
        shown["context"] = context if isinstance(context, dict) else {"kind": "dense", "length": context}
    if actions is not None:
        shown["actions"] = {"kind": "listed"} | (actions if isinstance(actions, dict) else {"length": actions})
    return shown if states is None else shown | {"states": _states(states)}


def _states(states: Any) -> dict[str, Any]:
    """Return the states as `problem.states` of a creation body."""
    if isinstance(states, dict):
        return {"factors": states}
    if is_count(states):
        return {"count": int(states)}
    if isinstance(states, (str, bytes)) or not isinstance(states, Iterable):
        raise InvalidInput("bad_states", f"states is {as_seen(states)}: it must be how many there are, ids, or factors")
    return {"ids": list(states)}


def _arms(arms: Any) -> list[dict[str, Any]]:
    if is_count(arms):
        return [{"id": str(arm)} for arm in range(arms)]
    if isinstance(arms, (str, bytes)) or not isinstance(arms, Iterable):
        raise InvalidInput("bad_arms", f"arms is {as_seen(arms)}: it must be a list of ids, or how many there are")
    return [arm if isinstance(arm, dict) else {"id": arm} for arm in arms]
