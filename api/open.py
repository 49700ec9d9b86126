"""The Python interface: decide and learn in one line each, in memory or with a log (`durable/`).

>>> import onearm
>>> engine = onearm.open(policy="ucb1", arms=["a", "b"])
>>> decision = engine.decide()
>>> (decision.action_id, decision.propensity)
('a', 1.0)
>>> engine.learn(decision, reward=1.0)
>>> engine.decide().action_id
'b'

With `slots` decisions fill lists: `onearm/api/kinds/lists/engine.py`. With a `domain` they are vectors in it:
`onearm/api/kinds/vectors/engine.py`. With a `task` queries are made within a budget:
`onearm/api/kinds/queries/engine.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from ..engine.choices import ARMS_MAX
from ..engine.domain import Domain
from ..engine.errors import InvalidInput, as_seen
from ..engine.task import Task
from ..engine.vocabulary import FeedbackKind
from ..policies import catalog
from .durable.commits import EACH
from .experiment.ids import check_fields
from .experiment.spec import Spec
from .kinds.arms.engine import Engine
from .kinds.engines import ENGINES
from .kinds.lists.engine import ListEngine
from .kinds.pending import REMEMBERED
from .kinds.queries.engine import QueryEngine
from .kinds.table import kind_of
from .kinds.vectors.engine import VectorEngine
from .opening import creation_body, is_count

if TYPE_CHECKING:
    from .durable.hosted import HostedStream

DEFAULT = "default"  # stands for the policy that the problem calls for, as over HTTP


@overload
def open(
    policy: str | dict[str, Any] = DEFAULT,
    arms: Sequence[str] | int = 2,
    *,
    context: int | dict[str, Any] = 0,
    actions: int | dict[str, Any] | None = None,
    feedback: FeedbackKind = "reward",
    states: int | Sequence[str] | dict[str, int] | None = None,
    seed: int = 0,
    horizon: int | None = None,
    reward_range: tuple[float, float] | None = None,
    constraints: dict[str, Any] | None = None,
    remember: int = REMEMBERED,
    database: str | None = None,
    experiment: str | None = None,
    commit: str | int = EACH,
) -> Engine: ...


@overload
def open(
    policy: str | dict[str, Any] = DEFAULT,
    arms: Sequence[str] | int = 2,
    *,
    slots: int | dict[str, Any],
    context: int | dict[str, Any] = 0,
    actions: int | dict[str, Any] | None = None,
    seed: int = 0,
    horizon: int | None = None,
    reward_range: tuple[float, float] | None = None,
    remember: int = REMEMBERED,
    database: str | None = None,
    experiment: str | None = None,
    commit: str | int = EACH,
) -> ListEngine: ...


@overload
def open(
    policy: str | dict[str, Any] = DEFAULT,
    *,
    domain: Domain | dict[str, Any],
    feedback: FeedbackKind = "gradient",
    context: int | dict[str, Any] = 0,
    seed: int = 0,
    horizon: int | None = None,
    remember: int = REMEMBERED,
    database: str | None = None,
    experiment: str | None = None,
    commit: str | int = EACH,
) -> VectorEngine: ...


@overload
def open(
    policy: str | dict[str, Any] = DEFAULT,
    arms: Sequence[str] | int = 2,
    *,
    reward: dict[str, Any] | None = None,
    policies: Sequence[dict[str, Any]] | None = None,
    context: int | dict[str, Any] = 0,
    actions: int | dict[str, Any] | None = None,
    feedback: FeedbackKind = "reward",
    slots: int | dict[str, Any] | None = None,
    seed: int = 0,
    horizon: int | None = None,
    reward_range: tuple[float, float] | None = None,
    constraints: dict[str, Any] | None = None,
    database: str,
    experiment: str,
) -> Any: ...


@overload
def open(
    policy: str | dict[str, Any] = DEFAULT,
    *,
    stream: int | dict[str, Any],
    seed: int = 0,
    horizon: int | None = None,
    reward_range: tuple[float, float] | None = None,
    database: str,
    experiment: str,
) -> HostedStream: ...


@overload
def open(
    policy: str | dict[str, Any] = DEFAULT,
    *,
    task: Task | dict[str, Any],
    seed: int = 0,
    horizon: int,
    remember: int = REMEMBERED,
    database: str | None = None,
    experiment: str | None = None,
    commit: str | int = EACH,
) -> QueryEngine: ...


def open(
    policy: str | dict[str, Any] = DEFAULT,
    arms: Sequence[str | dict[str, Any]] | int | None = None,
    *,
    context: int | dict[str, Any] = 0,
    actions: int | dict[str, Any] | None = None,
    domain: Domain | dict[str, Any] | None = None,
    feedback: FeedbackKind | None = None,
    task: Task | dict[str, Any] | None = None,
    states: int | Sequence[str] | dict[str, int] | None = None,
    slots: int | dict[str, Any] | None = None,
    stream: int | dict[str, Any] | None = None,
    seed: int = 0,
    horizon: int | None = None,
    reward_range: tuple[float, float] | None = None,
    reward: dict[str, Any] | None = None,
    constraints: dict[str, Any] | None = None,
    remember: int = REMEMBERED,
    database: str | None = None,
    experiment: str | None = None,
    commit: str | int = EACH,
    policies: Sequence[dict[str, Any]] | None = None,
) -> Any:
    """Return a policy at work in this process: `decide()`, then `learn(decision, reward)`.

    `policy` is a name, name:{json params}, or {"name": ..., "params": {...}}. The default follows from the problem, as
    over HTTP: adaptive, which notices when the world changes, around thompson_any, with contexts around
    fourier_softmax; and mapo for a task that one of its artefacts is for.
    With a `reward_range`, (low, high), a reward outside is refused, policies made for [0, 1] learn parts of it, and
    where it is (0, 1), without contexts, adaptive is around thompson_beta. Without it such a policy has its own.
    `arms` are their ids, or how many there are, 2 if left out; one may be an object with its id and more, such as the
    `tags` by which constraints name groups. `context` is how many numbers each decision has as its
    context, or the JSON object that docs/http.md describes, such as {"kind": "features"}. With `actions` every call
    brings actions of its own in place of arms: give how many numbers each has, or the object of docs/http.md.
    With `constraints` each decision keeps to floors and caps, {"floors": {"a": 0.1}} say: docs/constraints.md.
    Where each reward comes with what the decision has cost, `feedback` is "cost": `learn(decision, reward, cost)`.
    Where a decision moves a state, `states` are how many there are, their ids, or factors with how many values each
    has: `decide(state=...)`, then `learn(decision, reward, next_state=...)`, and the default policy is half_visit.
    With `slots`, how many a list has at most, decisions fill lists. With a `domain`, a `Domain` or the object of
    docs/http.md, a decision is a vector in it, and `feedback` says what is revealed: "gradient" if left out. With a
    `task`, a `Task` or the object of docs/http.md, there are `horizon` queries: `ask()` and `tell()`. A decision that
    you hold can be learned from whenever its reward comes; by its number alone while it is among the last `remember`.
    With a `stream`, about how many arms will come or the object of docs/http.md, arms come once.
    With a `database`, sqlite:///FILE or postgresql://USER@HOST/NAME, all is on record there as an `experiment` of a
    service, and goes on when it is opened again, by these two alone as well. `commit` says when a call is on record:
    "each" before it returns, a number once so many wait, "0.5s" after so long at most. There `reward` may say how long
    rewards are waited for, {"wait_time": "30m", "default": 0}, and `policies` which others play a part beside this one,
    [{"policy": "linucb", "role": "shadow"}]: then the methods are those of the client. docs/durable.md
    Threads may share an engine that has a database: its calls wait for one another. One in memory is for one thread, or
    for several that hold a lock of their own at each call.
    """
    _check(arms, task, policies)
    name = _named_with(database, experiment, commit)
    of_arms: dict[str, Any] = {"context": context, "actions": actions, "states": states, "constraints": constraints}
    of_all: dict[str, Any] = {"domain": domain, "feedback": feedback, "task": task, "slots": slots, "stream": stream}
    rewards: dict[str, Any] = {"reward_range": reward_range, "reward": reward}
    body = creation_body(name, arms, **of_arms, **of_all, **rewards, seed=seed, horizon=horizon)
    is_named_alone = arms is None and body == creation_body(name) and policy == DEFAULT
    body |= _named(policy)
    if database is not None:
        return _with_log(body, is_named_alone, database, remember=remember, commit=commit, policies=policies)
    _check_in_memory(body, policies)
    spec = Spec.from_json(body)
    return ENGINES[kind_of(spec.problem).name](spec, remember)


def _with_log(*of: Any, **more: Any) -> Any:
    from .durable.opening import opened

    return opened(*of, **more)


def _check_in_memory(body: dict[str, Any], policies: Any) -> None:
    """Refuse what goes on beside decisions where there is no log that could say so."""
    if body["problem"].get("kind") == "arm_stream":
        raise InvalidInput(
            "no_database",
            "a stream is given, and no database: name one, or take onearm.api.arms_once.Stream, which is in memory",
        )
    for name in ("policies", "reward"):
        if (policies if name == "policies" else body.get("reward", {}).get("wait_time")) is not None:
            raise InvalidInput(
                "no_database",
                f"{name} is given, and no database: several policies, and rewards that are waited for, need a log; "
                "name a database and an experiment",
            )


def _named_with(database: Any, experiment: Any, commit: Any) -> str:
    """Return the name of the experiment; where all is in memory nobody sees it."""
    if database is None and not (isinstance(commit, str) and commit == EACH):
        raise InvalidInput(
            "bad_commit", f"commit is {as_seen(commit)}, but there is no database to commit to: name one"
        )
    if (database is None) != (experiment is None):
        given, missing = ("an experiment", "database") if database is None else ("a database", "experiment")
        raise InvalidInput("bad_spec", f"there is {given}, but no {missing}: give both, or none to decide in memory")
    return "python" if experiment is None else experiment


def _check(arms: Any, task: Any, policies: Any) -> None:
    """Refuse more arms than there may be, a task that is none, and policies that are none."""
    if is_count(arms) and arms > ARMS_MAX:
        raise InvalidInput("bad_arms", f"arms is {as_seen(arms)}: there may be {ARMS_MAX} at most")
    if task is not None and not isinstance(task, (Task, dict)):
        raise InvalidInput(
            "bad_task", f"task is {as_seen(task)}: take onearm.best_arm, thresholds or hypotheses, or a dict"
        )
    if policies is not None and (isinstance(policies, (str, dict)) or not isinstance(policies, Sequence)):
        raise InvalidInput("bad_policies", f"policies is {as_seen(policies)}: it must be a list of objects")
    for one in policies or ():
        check_fields("one of the policies", one, {"policy", "role", "share", "start", "guard", "learn_from"})
        if "policy" not in one:
            raise InvalidInput("bad_policies", f'one of the policies is {as_seen(one)}: "policy" says which it is')


def _named(policy: Any) -> dict[str, Any]:
    """Return the policy as a field of a creation body; nothing where the default is meant."""
    if not isinstance(policy, (str, dict)):
        raise InvalidInput("bad_spec", f"policy is {as_seen(policy)}: it must be a name or a spec")
    if policy == "usual":
        message = 'policy="usual" is called "default" now, and may be left out; the old word goes with 0.3'
        warnings.warn(message, DeprecationWarning, stacklevel=3)
        policy = DEFAULT
    if policy == DEFAULT:
        return {}
    return {"policy": policy if isinstance(policy, dict) else catalog.parse(policy).spec}
